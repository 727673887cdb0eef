"""Makes a folder with a tiny Llama of random weights that vLLM can serve: model.py FOLDER. What it says is nonsense."""

import random
import sys

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

folder = sys.argv[1]
random.seed(1)
torch.manual_seed(1)

tokenizer = Tokenizer(models.BPE())
tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
tokenizer.decoder = decoders.ByteLevel()
words = ["".join(random.choices("aeioubdfgklmnprst", k=random.randint(2, 9))) for _ in range(4000)]
tokenizer.train_from_iterator(
    (" ".join(random.choices(words, k=12)) for _ in range(4000)),
    trainers.BpeTrainer(
        vocab_size=4096,
        special_tokens=["<unk>", "<s>", "</s>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    ),
)
wrapped = PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="<unk>", bos_token="<s>", eos_token="</s>")
wrapped.model_max_length = 4096
wrapped.save_pretrained(folder)

config = LlamaConfig(
    vocab_size=len(wrapped),
    hidden_size=256,
    intermediate_size=768,
    num_hidden_layers=4,
    num_attention_heads=4,
    num_key_value_heads=2,
    max_position_embeddings=4096,
    bos_token_id=1,
    eos_token_id=2,
)
LlamaForCausalLM(config).to(torch.bfloat16).save_pretrained(folder)

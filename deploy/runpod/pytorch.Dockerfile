# syntax=docker/dockerfile:1
#
# One of RunPod's own images with the watchdog: its entry point, its SSH and its notebooks stay as they are. From the project's folder:
#
#	docker build -t gpu-watchdog .
#	docker build -t YOU/pytorch-watched -f deploy/runpod/pytorch.Dockerfile deploy/runpod
FROM docker.io/runpod/pytorch:1.0.2-cu1281-torch280-ubuntu2404
COPY --from=gpu-watchdog:latest /gpu-watchdog /usr/local/bin/
COPY post_start.sh /post_start.sh
# No vLLM starts by itself in this image, and one that never comes would be taken for broken.
ENV WATCHDOG_VLLM_URLS=none

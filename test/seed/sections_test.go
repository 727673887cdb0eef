package seed

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// held says which test holds which section.
var held = []struct{ section, asks, file, test string }{
	{"1.2", "prefill apart from decode", "test/seed/prefill_test.go", "TestSection12SplitsPrefillFromDecode"},
	{"1.3", "the table vllm_metrics", "internal/store/table_test.go", "TestSection13TableIsThereAndTakesRows"},
	{"2.2", "the experiment with batches, and its table", "internal/experiment/batching/seed_test.go", "TestSeedSection2_2BatchingTable"},
	{"2.3", "utilisation and memory of the GPU", "internal/experiment/batching/seed_test.go", "TestSeedSection2_2BatchingTable"},
	{"3.1", "the experiment with the KV cache, and its table", "internal/experiment/kvcache/run_test.go", "TestSeedSection3_1KVCacheTable"},
	{"4.2", "what a cold start takes and costs", "internal/experiment/coldstart/run_test.go", "TestSeedSection4_2ColdStart"},
	{"5.3", "the goodput tracker", "internal/serving/rows_test.go", "TestSeedSection53Goodput"},
	{"5.4", "the dashboard's query", "internal/store/table_test.go", "TestSection54QueryRunsUnchanged"},
	{"5.4", "the dashboard's table", "internal/report/seed_test.go", "TestSeedSection5_4DailyTable"},
}

func TestEachSectionIsHeld(t *testing.T) {
	for _, h := range held {
		text, err := os.ReadFile("../../" + h.file)
		if err != nil {
			t.Errorf("section %s, %s: %v", h.section, h.asks, err)
			continue
		}
		found := regexp.MustCompile(`(?m)((?:^//.*\n)*)^func ` + h.test + `\(t \*testing\.T\) \{$`).FindSubmatch(text)
		if found == nil {
			t.Errorf("section %s, %s: %s has no %s any more", h.section, h.asks, h.file, h.test)
			continue
		}
		if !regexp.MustCompile(`[Ss]ection ` + regexp.QuoteMeta(h.section) + `\b`).Match(found[1]) {
			t.Errorf("section %s, %s: %s does not say that it holds it", h.section, h.asks, h.test)
		}
	}
}

// What users are told to ask is what the document asks.
func TestSection54QueryIsTheDocumentedOne(t *testing.T) {
	query, err := os.ReadFile("../../internal/store/testdata/section_5_4.sql")
	if err != nil {
		t.Fatal(err)
	}
	document, err := os.ReadFile("../../docs/serving.md")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(document), "```sql\n"+strings.TrimSpace(string(query))+"\n```") {
		t.Error("docs/serving.md does not show the query of section 5.4 as it stands in the document")
	}
}

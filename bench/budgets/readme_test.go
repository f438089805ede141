package main

import (
	"os"
	"strings"
	"testing"
)

// TestTheReadmeHasTheLastFigures compares the table in README.md with what is kept of the last measurements.
func TestTheReadmeHasTheLastFigures(t *testing.T) {
	t.Parallel()
	r, err := read("../results")
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	if want := readmeTable(r); !strings.Contains(string(page), want) {
		t.Errorf("README.md does not have these figures: copy them (go run ./bench/budgets -readme)\n%s", want)
	}
}

func TestThousands(t *testing.T) {
	t.Parallel()
	for count, want := range map[float64]string{0: "0", 999: "999", 1000: "1,000", 127908: "127,908", 1234567: "1,234,567"} {
		if got := thousands(count); got != want {
			t.Errorf("%v is %s, want %s", count, got, want)
		}
	}
}

package scheduler

import (
	"testing"
	"time"
)

// worstCases take the longest way to an answer, or to none.
var worstCases = map[string]string{
	"leap day on a Monday":       "0 0 0 ? 2 2#5 *",
	"leap day in a far year":     "0 0 0 29 2 ? 2096",
	"leap day in no leap year":   "59 59 23 29 2 ? 2101",
	"30 February":                "0 0 0 30 2 ?",
	"31 in a short month":        "0 0 0 31 2,4,6,9,11 ?",
	"years behind":               "0 0 0 1 1 ? 1970",
	"year beyond the horizon":    "0 0 0 1 1 ? 2999",
	"endless in Quartz":          "0 0 0 L-30W * ?",
	"endless in Quartz, by year": "0 0 0 L-30W 2 ? 2090-2100",
	"last second of a century":   "59 59 23 31 12 ? 2120",
	"fifth Sunday in February":   "59 59 23 ? 2 1#5",
	"nearest weekday":            "59 59 23 31W 2 ?",
	"long lists":                 "1/2,59 1/2,59 1/2,23 1/2,31 2 ? 2092/4",
	"nearest weekday, always":    "59 59 23 31W 2,4,6,9,11 ?",
	"a day that is none":         "0 59 23 ? * 8#5",
	"every second":               "* * * * * ?",
}

// maxNext is what the evaluation of any valid expression may take.
const maxNext = time.Millisecond

func BenchmarkNextInTheWorstCases(b *testing.B) {
	zone := location(b, "America/New_York")
	after := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	for name, expr := range worstCases {
		b.Run(name, func(b *testing.B) {
			e := mustParse(b, expr, zone)
			for b.Loop() {
				e.Next(after)
			}
			if each := b.Elapsed() / time.Duration(b.N); each > maxNext {
				b.Errorf("%q takes %v, want at most %v", expr, each, maxNext)
			}
		})
	}
}

func BenchmarkParse(b *testing.B) {
	for b.Loop() {
		if err := Check("0 0 9,10,11,12,13,14,15,16 ? * MON-FRI *"); err != nil {
			b.Fatal(err)
		}
	}
}

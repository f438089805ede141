package cost_test

import (
	"bufio"
	"fmt"
	"math"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/cost"
)

const day = 24 * time.Hour

// around is a camera of 4 Mbit/s around the clock, for some days, with fragments of a length.
func around(days int, length time.Duration) cost.Usage {
	span := time.Duration(days) * day
	return cost.Usage{
		Span: span, Media: span, Bytes: int64(span.Seconds()) * 500_000, Fragments: int64(span / length), Calls: int64(days) * 36,
	}
}

// TestTheTableByHand compares each length with a table that was computed by hand, also as the present one.
func TestTheTableByHand(t *testing.T) {
	t.Parallel()
	file, err := os.Open("testdata/by-hand.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	rows := 0
	for lines := bufio.NewScanner(file); lines.Scan(); {
		if strings.HasPrefix(lines.Text(), "#") {
			continue
		}
		rows++
		var seconds, fragments, hotIngest, hotStorage, warmIngest, warmStorage float64
		if _, err := fmt.Sscan(lines.Text(), &seconds, &fragments, &hotIngest, &hotStorage, &warmIngest, &warmStorage); err != nil {
			t.Fatal(err)
		}
		length := time.Duration(seconds * float64(time.Second))
		for _, days := range []int{1, 7, 31} {
			e := cost.Of(around(days, length), 168*time.Hour, cost.Embedded())
			other := cost.Of(around(days, 3*time.Second), 168*time.Hour, cost.Embedded())
			compared := []cost.Length{{Fragments: e.Fragments, Bills: e.Bill}}
			for _, l := range other.Lengths {
				if l.Seconds == seconds {
					compared = append(compared, l)
				}
			}
			if len(compared) != 2 {
				t.Fatalf("%v s is not among the lengths of %+v", seconds, other.Lengths)
			}
			for _, l := range compared {
				for name, pair := range map[string][2]float64{
					"fragments": {l.Fragments, fragments}, "HOT ingest": {l.Hot.Ingest, hotIngest}, "HOT storage": {l.Hot.Storage, hotStorage},
					"WARM ingest": {l.Warm.Ingest, warmIngest}, "WARM storage": {l.Warm.Storage, warmStorage},
					"WARM total": {l.Warm.Total, warmIngest + warmStorage}, "HOT total": {l.Hot.Total, hotIngest + hotStorage},
				} {
					if math.Abs(pair[0]-pair[1]) > 0.001*pair[1] {
						t.Errorf("%v s, %d days: %s is %f, by hand it is %f", seconds, days, name, pair[0], pair[1])
					}
				}
			}
		}
	}
	if rows != 5 {
		t.Errorf("the table has %d rows", rows)
	}
}

func TestTheStorage(t *testing.T) {
	t.Parallel()
	const gb = 1206.994057
	for _, row := range []struct {
		hours     int
		hot, warm float64 // GB-months
	}{
		{0, 0, 0},
		{1, gb / 720, gb},
		{719, gb * 719 / 720, gb},
		{720, gb, gb},
		{1440, 2 * gb, 2 * gb},
		{87600, gb * 87600 / 720, gb * 87600 / 720},
	} {
		e := cost.Of(around(1, time.Second), time.Duration(row.hours)*time.Hour, cost.Embedded())
		if math.Abs(e.Bill.Hot.Storage-row.hot*0.0230) > 1e-3 || math.Abs(e.Bill.Warm.Storage-row.warm*0.0125) > 1e-3 {
			t.Errorf("%d h: %+v", row.hours, e.Bill)
		}
	}
}

func in(tier string, u cost.Usage) cost.Usage {
	u.Tier = tier
	return u
}

// TestWhatASettingReaches: whole GOPs, at least one, and no more than fit.
func TestWhatASettingReaches(t *testing.T) {
	t.Parallel()
	for _, row := range []struct{ keyframes, longest, want float64 }{
		{0, 0, 19}, {0.5, 0.5, 19}, {1, 1, 19}, {2, 2, 18}, {4, 4, 16}, {5, 5, 15}, {9.6, 9.6, 9.6}, {9.4, 9.4, 18.8}, {10.1, 10.1, 10.1},
		{18, 18, 18}, {25, 25, 19}, {2, 6, 14}, {0.3, 0.3, 18.9},
	} {
		u := around(1, time.Second)
		u.Keyframes, u.LongestGOP = time.Duration(row.keyframes*float64(time.Second)), time.Duration(row.longest*float64(time.Second))
		if got := cost.Of(u, 90*day, cost.Embedded()).Cheapest; math.Abs(got.Seconds-row.want) > 0.001 {
			t.Errorf("keyframes each %v s, at most %v: fragments of %v s, want %v", row.keyframes, row.longest, got.Seconds, row.want)
		}
	}
}

// TestTheCheapest has a tier and a length for each reason to be cheapest.
func TestTheCheapest(t *testing.T) {
	t.Parallel()
	free := cost.Prices{}
	const quarter = 90 * day
	for name, row := range map[string]struct {
		u         cost.Usage
		retention time.Duration
		prices    cost.Prices
		want      cost.Cheapest
	}{
		"short retention": {around(1, time.Second), day, cost.Embedded(),
			cost.Cheapest{Tier: cost.Hot, Seconds: 1, Present: true, Total: 11.18}},
		"long retention": {around(1, time.Second), quarter, cost.Embedded(),
			cost.Cheapest{Tier: cost.Warm, Seconds: 19, Setting: 19, Total: 46.63}},
		"of equal ones the present": {in(cost.Warm, around(1, 3*time.Second)), day, free,
			cost.Cheapest{Tier: cost.Warm, Seconds: 3, Present: true}},
		"nearly the longest": {around(1, 18750*time.Millisecond), quarter, cost.Embedded(),
			cost.Cheapest{Tier: cost.Warm, Seconds: 18.75, Present: true, Total: 46.64}},
		"the longest already": {around(1, 19*time.Second), quarter, cost.Embedded(),
			cost.Cheapest{Tier: cost.Warm, Seconds: 19, Present: true, Total: 46.63}},
		"nothing costs anything": {around(1, 3*time.Second), day, free, cost.Cheapest{Tier: cost.Hot, Seconds: 3, Present: true}},
	} {
		got := cost.Of(row.u, row.retention, row.prices).Cheapest
		if math.Abs(got.Total-row.want.Total) > 0.01 || math.Abs(got.Seconds-row.want.Seconds) > 0.01 || got.Tier != row.want.Tier ||
			got.Setting != row.want.Setting || got.Present != row.want.Present {
			t.Errorf("%s: %+v, want %+v", name, got, row.want)
		}
	}
}

func TestNothingToReckonFrom(t *testing.T) {
	t.Parallel()
	for _, u := range []cost.Usage{{}, {Span: day}, {Fragments: 3, Bytes: 3}, {Span: -day, Fragments: 1}} {
		if e := cost.Of(u, day, cost.Embedded()); len(e.Lengths) != 0 || e.Bill != (cost.Bills{}) {
			t.Errorf("%+v: %+v", u, e)
		}
	}
	if got := (cost.Usage{Media: day}).Mean(); got != 0 {
		t.Errorf("the mean of no fragment is %v", got)
	}
	if got := cost.PerMonthOfMedia(0, cost.Embedded()); got != 0 {
		t.Errorf("fragments of no length cost %f", got)
	}
	if got := cost.PerMonthOfMedia(10*time.Second, cost.Embedded()); math.Abs(got-2.592) > 1e-9 {
		t.Errorf("fragments of 10 s cost %f", got)
	}
	if _, ok := (cost.Bills{}).Of("COLD"); ok {
		t.Error("a tier without prices has a bill")
	}
}

// TestPricesOfOthers has files of prices that are refused, each with the sentence.
func TestPricesOfOthers(t *testing.T) {
	t.Parallel()
	const head = `"region":"eu-central-1","date":"2026-11-28","source":"a friend",`
	const tiers = `"HOT":{"storagePerGBMonth":0.03},"WARM":{"storagePerGBMonth":0.01}`
	p, err := cost.ReadPrices(strings.NewReader(`{` + head + `"currency":"EUR",` + tiers + `}`))
	if err != nil || p.Region != "eu-central-1" || p.Currency != "EUR" || p.Hot.StoragePerGBMonth != 0.03 {
		t.Fatalf("%+v, %v", p, err)
	}
	if p.BytesPerGB != cost.BinaryGB {
		t.Errorf("a GB has %d bytes", p.BytesPerGB)
	}
	decimal, err := cost.ReadPrices(strings.NewReader(`{` + head + `"bytesPerGB":1e9,` + tiers + `}`))
	if err != nil || decimal.GB(3e9) != 3 || p.GB(3<<30) != 3 {
		t.Errorf("%+v, %v", decimal, err)
	}
	of := func(region, date string) string {
		return `{"region":"` + region + `","date":"` + date + `","source":"x",` + tiers + "}"
	}
	with := func(members string) string { return "{" + head + members + "}" }
	for text, want := range map[string]string{
		"":                                    "it is not JSON: its end is missing",
		"[]":                                  "it is not a JSON object of prices",
		"null":                                "region is missing",
		"{":                                   "it is not JSON: its end is missing",
		"{\n\n]":                              "it is not JSON, from line 3 on",
		"\xff":                                "it is not UTF-8",
		with(tiers) + " {}":                   "something follows the object of prices",
		with(tiers + `,"hot":1`):              "HOT must be an object",
		with(tiers + `,"COLD":1`):             `it has a member "COLD", which no file of prices has`,
		"{" + tiers + "}":                     "region is missing",
		of(" ", "2026-11"):                    "region is missing",
		of("x", "November"):                   `date is "November"; it must be a month or a day, such as 2026-11 or 2026-11-28`,
		of(`a\nb`, "2026-11"):                 "region must be one line of at most 300 bytes",
		with(`"currency":"dollars",` + tiers): `currency is "dollars"; it must be three capital letters, such as USD`,
		with(`"HOT":{"storagePerGBMonth":1}`): "WARM is missing, the prices of that storage tier",
		with(`"HOT":{},"WARM":{"storagePerGBMonth":1}`):     "HOT.storagePerGBMonth is missing",
		with(`"HOT":{"storagePerGBMonth":-1},"WARM":{}`):    "HOT.storagePerGBMonth is -1; it must be a number from 0 to 1000000",
		with(`"HOT":{"storagePerGBMonth":"1"},"WARM":{}`):   "HOT.storagePerGBMonth must be a number",
		with(`"HOT":{"storagePerGBMonth":1e999},"WARM":{}`): "HOT.storagePerGBMonth must be a number",
		with(`"bytesPerGB":1000,` + tiers):                  "bytesPerGB is 1000; it must be 1073741824 or 1000000000",
		with(`"bytesPerGB":"GiB",` + tiers):                 "bytesPerGB must be a number",
		with(`"perThousandCalls":2000000,` + tiers):         "perThousandCalls is 2e+06; it must be a number from 0 to 1000000",
		with(`"HOT":7,"WARM":{}`):                           "HOT must be an object",
		"{" + strings.Repeat(" ", 65<<10) + "}":             "it is larger than 64 kB",
		with(`"HOT":{"storagePerGBMonth":1,"minimumStorageDays":9999},"WARM":{}`): "HOT.minimumStorageDays is 9999; it must be a number " +
			"from 0 to 3650",
	} {
		_, err := cost.ReadPrices(strings.NewReader(text))
		if err == nil || !strings.HasPrefix(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%.80q: %v, want %s", text, err, want)
		}
	}
}

// FuzzPrices: what is read is complete, what is refused is one line, and no price makes a bill that is not a number.
func FuzzPrices(f *testing.F) {
	embedded, err := os.ReadFile("prices.json")
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range []string{
		string(embedded), "{}", `{"HOT":null}`,
		`{"region":"x","date":"2026-11","source":"y","HOT":{"storagePerGBMonth":1},"WARM":{"storagePerGBMonth":1e6}}`,
		`{"HOT":{"ingestPerGB":-1}}`, `{"x":[`, "\ufeff{}",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		p, err := cost.ReadPrices(strings.NewReader(text))
		if err != nil {
			if strings.ContainsAny(err.Error(), "\n\r\x1b") || len(err.Error()) > 400 || strings.Contains(err.Error(), "json:") {
				t.Errorf("the error is %q", err)
			}
			return
		}
		if p.Region == "" || p.Date == "" || p.Source == "" || len(p.Currency) != 3 {
			t.Errorf("prices without a head: %+v", p)
		}
		e := cost.Of(around(7, time.Second), 168*time.Hour, p)
		for _, l := range e.Lengths {
			for _, total := range []float64{l.Hot.Total, l.Warm.Total} {
				if math.IsNaN(total) || math.IsInf(total, 0) || total < 0 || total < e.Cheapest.Total-0.006 {
					t.Errorf("the bill is %f, the cheapest %+v", total, e.Cheapest)
				}
			}
		}
	})
}

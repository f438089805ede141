// Package cost owns what uploads of a stream cost in Kinesis Video Streams: prices, the bill of a month in each storage
// tier, and that with fragments of other lengths. It is pure: it must not know where its numbers were counted.
package cost

import (
	"cmp"
	"math"
	"slices"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/fragment"
)

const (
	// BinaryGB is what AWS charges as a GB: its price examples divide MB by 1,024. Source: AWS, Kinesis Video Streams
	// pricing, pricing examples. DecimalGB is the other one, for prices that are meant so.
	BinaryGB  = 1 << 30
	DecimalGB = 1_000_000_000
	// Month is what a bill is for: the same examples have months of 30 days.
	Month = 30 * 24 * time.Hour
)

// The storage tiers. Source: KVS API, StreamStorageConfiguration.
const (
	Hot  = "HOT"
	Warm = "WARM"
)

// lengths are those of fragments that an estimate compares, from the least that the service takes to the longest that
// the agent makes.
var lengths = []time.Duration{time.Second, 2 * time.Second, 5 * time.Second, 10 * time.Second, 19 * time.Second}

// Usage is what was uploaded, or waits for its upload, of the media of a span.
type Usage struct {
	Span      time.Duration // from its start, or the stream's first media, to its end
	Media     time.Duration // recorded in it
	Bytes     int64
	Fragments int64
	Calls     int64 // of PutMedia
	// Keyframes and LongestGOP are the mean and the greatest distance of keyframes; 0 where they are not known: then fragments may
	// have any length.
	Keyframes, LongestGOP time.Duration
	// Fixed says that no setting changes the length of fragments.
	Fixed bool
	// Tier is the present storage tier, empty where it is not known.
	Tier string
}

// Mean is the mean length of a fragment, 0 without one.
func (u Usage) Mean() time.Duration {
	if u.Fragments <= 0 {
		return 0
	}
	return time.Duration(float64(u.Media) / float64(u.Fragments))
}

// reached is how long fragments become with a setting, as they consist of whole GOPs.
func (u Usage) reached(setting time.Duration) time.Duration {
	if u.Keyframes <= 0 {
		return setting
	}
	return fragment.Reached(fragment.Fixed(setting).Target(fragment.Later), u.Keyframes, u.LongestGOP)
}

// Bill is what a month costs, in the currency of the prices.
type Bill struct {
	Ingest   float64 `json:"ingest"`
	Storage  float64 `json:"storage"`
	Requests float64 `json:"requests"`
	Total    float64 `json:"total"`
}

// Bills are those of the storage tiers.
type Bills struct {
	Hot  Bill `json:"HOT"`
	Warm Bill `json:"WARM"`
}

// Of is the bill of a tier; false for a tier without prices.
func (b Bills) Of(tier string) (Bill, bool) {
	switch tier {
	case Hot:
		return b.Hot, true
	case Warm:
		return b.Warm, true
	default:
		return Bill{}, false
	}
}

// Length is what a month costs with fragments of a length.
type Length struct {
	Seconds float64 `json:"seconds"`
	// Present says that it is the mean length as it is.
	Present   bool    `json:"present,omitempty"`
	Fragments float64 `json:"fragments"` // in a month
	Bills
}

// Cheapest is the tier and the length of fragments that cost least.
type Cheapest struct {
	Tier    string  `json:"tier"`
	Seconds float64 `json:"seconds"`           // how long fragments are then
	Setting float64 `json:"setting,omitempty"` // the length that is to be set for that; 0: the length is the present one
	Present bool    `json:"present,omitempty"` // the length is the present one
	Total   float64 `json:"total"`
}

// Estimate is what a month costs if it is as the measured span.
type Estimate struct {
	GB        float64  `json:"gb"` // ingested in a month
	Fragments float64  `json:"fragments"`
	Calls     float64  `json:"calls"`
	Bill      Bills    `json:"bill"`
	Lengths   []Length `json:"lengths"`
	Cheapest  Cheapest `json:"cheapest"`
}

// Of reckons the month of a stream that keeps its media for so long. The storage is that of a stream that is as old as
// its retention. Without fragments all is 0, and there are no lengths.
func Of(u Usage, retention time.Duration, p Prices) Estimate {
	var e Estimate
	if u.Span <= 0 || u.Fragments <= 0 {
		return e
	}
	months := float64(Month) / float64(u.Span)
	e.GB = p.GB(u.Bytes) * months
	e.Fragments, e.Calls = float64(u.Fragments)*months, float64(u.Calls)*months
	bills := func(fragments float64) Bills {
		bill := func(t TierPrices) Bill {
			b := Bill{
				Ingest:   e.GB*t.IngestPerGB + fragments/1000*t.IngestPerThousandFragments,
				Storage:  e.GB * t.kept(retention) * t.StoragePerGBMonth,
				Requests: e.Calls / 1000 * p.PerThousandCalls,
			}
			b.Total = b.Ingest + b.Storage + b.Requests
			return b
		}
		return Bills{Hot: bill(p.Hot), Warm: bill(p.Warm)}
	}
	media := float64(u.Media) * months
	e.Bill = bills(e.Fragments)
	e.Lengths = append(e.Lengths, Length{Seconds: u.Mean().Seconds(), Present: true, Fragments: e.Fragments, Bills: e.Bill})
	for _, length := range lengths {
		fragments := media / float64(length)
		e.Lengths = append(e.Lengths, Length{Seconds: length.Seconds(), Fragments: fragments, Bills: bills(fragments)})
	}
	slices.SortStableFunc(e.Lengths, func(a, b Length) int { return cmp.Compare(a.Seconds, b.Seconds) })
	e.Cheapest = cheapest(u, e.Bill, func(length time.Duration) Bills { return bills(media / float64(length)) })
	return e
}

// kept is for how many months what comes in is paid for.
func (t TierPrices) kept(retention time.Duration) float64 {
	if retention <= 0 {
		return 0
	}
	const day = 24 * time.Hour
	return max(float64(retention), t.MinimumStorageDays*float64(day)) / float64(Month)
}

// cheapest finds what costs least. Of equal ones the present tier and length come first, then the shortest, and HOT.
func cheapest(u Usage, present Bills, of func(length time.Duration) Bills) (c Cheapest) {
	const (
		cent = 0.005 // a smaller difference does not matter
		same = 0.03  // lengths that differ by less are the same: where segments end, fragments are shorter
	)
	tiers := []string{Hot, Warm}
	if u.Tier == Warm {
		tiers = []string{Warm, Hot}
	}
	first := true
	consider := func(candidate Cheapest, bills Bills) {
		for _, candidate.Tier = range tiers {
			b, _ := bills.Of(candidate.Tier)
			if candidate.Total = b.Total; first || candidate.Total < c.Total-cent {
				c, first = candidate, false
			}
		}
	}
	mean := u.Mean()
	consider(Cheapest{Seconds: mean.Seconds(), Present: true}, present)
	for _, setting := range lengths {
		length := u.reached(setting)
		if !u.Fixed && math.Abs(float64(length-mean)) > same*float64(mean) {
			consider(Cheapest{Seconds: length.Seconds(), Setting: setting.Seconds()}, of(length))
		}
	}
	return c
}

// PerMonthOfMedia is what the fragments of 30 days of media cost in the WARM tier, when each has that mean length.
func PerMonthOfMedia(mean time.Duration, p Prices) float64 {
	if mean <= 0 {
		return 0
	}
	return float64(Month) / float64(mean) / 1000 * p.Warm.IngestPerThousandFragments
}

package history

import (
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/cost"
	"github.com/kvs-edge/kvs-edge-agent/internal/tally"
)

// CostDays is how many days Costs has: those that the tally keeps, and of which a month is made.
const CostDays = 30

// Costs is what the service took in on each of the last days, and what it charges for that.
type Costs struct {
	// Currency, Region and Date are those of the prices.
	Currency string `json:"currency"`
	Region   string `json:"region"`
	Date     string `json:"date"`
	// Days are all of them, the oldest first, also those without an upload.
	Days []CostDay `json:"days"`
	// TierAssumed are the streams whose storage tier is not known, for which it is taken to be HOT.
	TierAssumed []string `json:"tierAssumed,omitempty"`
}

// CostDay is what was uploaded of the media of a day (UTC).
type CostDay struct {
	Date      string  `json:"date"` // as 2026-11-21
	Bytes     int64   `json:"bytes"`
	Fragments int64   `json:"fragments"`
	Calls     int64   `json:"calls"` // of PutMedia
	Ingest    float64 `json:"ingest"`
}

// Counted is the tally of uploads; see tally.Tally.
type Counted interface {
	Streams() []string
	Days(stream string) (days map[string]tally.Day, first time.Time)
}

// CostsOf sums up the days to now. Tier says how the media of a stream is stored, "" where it is not known.
func CostsOf(counted Counted, tier func(stream string) string, p cost.Prices, now time.Time) Costs {
	out := Costs{Currency: p.Currency, Region: p.Region, Date: p.Date, Days: make([]CostDay, CostDays)}
	index := make(map[string]int, CostDays)
	for i := range out.Days {
		out.Days[i].Date = now.UTC().AddDate(0, 0, i+1-CostDays).Format(time.DateOnly)
		index[out.Days[i].Date] = i
	}
	if counted == nil {
		return out
	}
	for _, stream := range counted.Streams() {
		days, _ := counted.Days(stream)
		name, found := tier(stream), false
		for date, d := range days {
			i, within := index[date]
			if !within {
				continue
			}
			found = found || d.Fragments > 0
			day := &out.Days[i]
			day.Bytes += d.Bytes
			day.Fragments += d.Fragments
			day.Calls += d.Calls
			day.Ingest += p.Ingest(name, d.Fragments, d.Bytes)
		}
		if found && name == "" {
			out.TierAssumed = append(out.TierAssumed, stream)
		}
	}
	return out
}

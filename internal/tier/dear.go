package tier

import (
	"fmt"
	"time"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/cost"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/logevent"
)

// codeDear says that fragments are short in a tier that charges each of them.
const codeDear = "fragment-cost"

const scopeDear health.Scope = "fragment-cost"

const (
	// dearBelow is the mean length of fragments below which they are dear in the WARM tier.
	dearBelow = 5 * time.Second
	// dearUntil is where that ends: a mean near the limit would else begin and end it repeatedly.
	dearUntil = 5500 * time.Millisecond
	// suggested is the length that the sentence compares with.
	suggested = 10 * time.Second
)

// Lengths are the mean lengths of a stream's uploaded fragments; 0 where that is not known.
type Lengths struct {
	Day    time.Duration // of the last day
	Recent time.Duration // of the last fragments
	Live   bool          // each fragment is uploaded as soon as it is complete
}

// below reports whether fragments are shorter than a length, on the whole and now.
func (l Lengths) below(length time.Duration) bool {
	return l.Day > 0 && l.Day < length && (l.Recent == 0 || l.Recent < length)
}

// judge says whether a stream's fragments are dear in its tier.
func (w *Watch) judge(stream string) {
	component := w.o.Health.Component(stream, health.JobUploader)
	limit := dearBelow
	if w.dear[stream] {
		limit = dearUntil
	}
	var lengths Lengths
	if w.Of(stream).Tier == cost.Warm {
		lengths = w.o.Lengths(stream)
	}
	if w.dear[stream] = lengths.below(limit); !w.dear[stream] {
		if component.OK(scopeDear) {
			logevent.FragmentCostEnded.Log(w.o.Log, zap.String("stream", stream))
		}
		return
	}
	prices, late := w.prices, ""
	if lengths.Live {
		late = " (of a live upload they arrive later by as much)"
	}
	fault := health.UserFault(codeDear, nil,
		"Stream %s is stored in the WARM tier, which charges each fragment: with fragments of %s on average those of 30 days of video cost "+
			"%s, and with %s they cost %s (prices of %s, %s). Longer ones%s are made with AWS_KVS_EDGE_FRAGMENT_DURATION, or the stream's tag "+
			"kvs-edge:fragment; `kvs-edge-agent cost` compares.",
		stream, health.Varying(fmt.Sprintf("%.1f s", lengths.Day.Seconds())), health.Varying(money(cost.PerMonthOfMedia(lengths.Day, prices))),
		fmt.Sprintf("%.0f s", suggested.Seconds()), money(cost.PerMonthOfMedia(suggested, prices)), prices.Region, prices.Date, late)
	if component.Report(scopeDear, health.Info, fault) {
		logevent.Condition(w.o.Log, fault, zap.String("stream", stream))
	}
}

func money(dollars float64) string { return fmt.Sprintf("$%.2f", dollars) }

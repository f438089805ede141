package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/cost"
	"github.com/kvs-edge/kvs-edge-agent/internal/desired"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/settings"
	"github.com/kvs-edge/kvs-edge-agent/internal/usage"
)

// costReport is what cost prints.
type costReport struct {
	From   time.Time   `json:"from"`
	To     time.Time   `json:"to"`
	Days   int         `json:"days"`
	Prices cost.Prices `json:"prices"`
	// MonthDays and BytesPerGB are what a month and a GB are in all that follows.
	MonthDays  int          `json:"monthDays"`
	BytesPerGB int64        `json:"bytesPerGB"`
	Streams    []costStream `json:"streams"`
	// Total has the bills of all streams as they are, in either tier.
	Total cost.Bills `json:"total"`
}

func newCostReport(days int, prices cost.Prices) *costReport {
	return &costReport{Days: days, MonthDays: int(cost.Month / day), BytesPerGB: prices.BytesPerGB, Prices: prices, Streams: []costStream{}}
}

// costStream is a stream of the report.
type costStream struct {
	usage.Stream
	GB float64 `json:"gb"` // of the span
	// MeanSeconds is the mean length of its fragments, 0 without one.
	MeanSeconds float64 `json:"meanFragmentSeconds"`
	// ReckonedHours is the retention that the bill is for, and RetentionSource where it comes from: flag, cloud or assumed.
	ReckonedHours   int    `json:"reckonedRetentionHours"`
	RetentionSource string `json:"retentionSource"`
	// Month is nil where there is nothing to reckon from.
	Month *cost.Estimate `json:"month,omitempty"`
	// Cheapest says in one sentence what is cheapest.
	Cheapest string `json:"cheapest"`
}

// The sources of a retention.
const (
	retentionOfFlag  = "flag"
	retentionOfCloud = "cloud"
	retentionAssumed = "assumed"
)

// assumedHours is the retention where it is not known: that for which WARM is paid at least.
const assumedHours = 30 * 24

// add reckons the bills of a stream, for a retention or, where that is assumed, for that of the cloud if it is known.
func (r *costReport) add(u usage.Stream, hours int, source string) {
	s := costStream{Stream: u, GB: r.Prices.GB(u.Bytes), ReckonedHours: hours, RetentionSource: source}
	if source == retentionAssumed && u.RetentionHours != nil {
		s.ReckonedHours, s.RetentionSource = *u.RetentionHours, retentionOfCloud
	}
	measured := cost.Usage{
		Span: u.To.Sub(u.From), Media: time.Duration(u.MediaSeconds * float64(time.Second)),
		Bytes: u.Bytes, Fragments: u.Fragments, Calls: u.Calls, Tier: u.StorageTier, Fixed: u.ShortOnly,
		Keyframes:  time.Duration(u.KeyframeSeconds * float64(time.Second)),
		LongestGOP: time.Duration(u.LongestGOPSeconds * float64(time.Second)),
	}
	s.MeanSeconds = measured.Mean().Seconds()
	month := cost.Of(measured, time.Duration(s.ReckonedHours)*time.Hour, r.Prices)
	if s.Cheapest = "No media of these days was uploaded or waits for its upload."; len(month.Lengths) > 0 {
		s.Month = &month
		s.Cheapest = cheapestText(month, u, r.Prices.Currency)
		r.Total.Hot = sum(r.Total.Hot, month.Bill.Hot)
		r.Total.Warm = sum(r.Total.Warm, month.Bill.Warm)
	}
	r.Streams = append(r.Streams, s)
}

func sum(a, b cost.Bill) cost.Bill {
	return cost.Bill{Ingest: a.Ingest + b.Ingest, Storage: a.Storage + b.Storage, Requests: a.Requests + b.Requests, Total: a.Total + b.Total}
}

// cheapestText is the sentence about what costs least, and how it is set.
func cheapestText(e cost.Estimate, u usage.Stream, currency string) string {
	c := e.Cheapest
	price := money(c.Total, currency) + " a month"
	fragments := fmt.Sprintf("fragments of %s", seconds(c.Seconds))
	now, known := e.Bill.Of(u.StorageTier)
	stays := known && c.Tier == u.StorageTier
	switch {
	case c.Present && stays:
		return fmt.Sprintf("The cheapest is what it is now, the %s tier with %s: %s.", c.Tier, fragments, price)
	case c.Present:
		fragments = "fragments as they are"
	case u.KeyframeSeconds > 0:
		fragments += fmt.Sprintf(" (keyframes are %s apart)", seconds(u.KeyframeSeconds))
	}
	text := fmt.Sprintf("The cheapest is the %s tier with %s: %s", c.Tier, fragments, price)
	if known {
		text += fmt.Sprintf(", %s less than now", money(now.Total-c.Total, currency))
	}
	var steps []string
	if known && !stays {
		steps = append(steps, "`aws kinesisvideo update-stream-storage-configuration` changes the tier")
	}
	if !c.Present {
		steps = append(steps, lengthStep(c.Setting, u))
	}
	if len(steps) > 0 {
		text += "; " + strings.Join(steps, ", and ")
	}
	if text += "."; !c.Present && u.Live {
		text += fmt.Sprintf(" The upload is live: a fragment is sent when it is complete, so viewers then see the video up to %s later.",
			seconds(c.Seconds))
	}
	return text
}

// maxTagWidth bounds what is shown of a tag.
const maxTagWidth = 20

// lengthStep says what sets a length of fragments: a tag takes precedence over the hub's setting.
func lengthStep(setting float64, u usage.Stream) string {
	if u.FragmentTag != "" {
		return fmt.Sprintf("the stream's tag %s=%.0fs (now %s) sets the length", desired.TagFragment, setting,
			health.Clean(u.FragmentTag, maxTagWidth))
	}
	return fmt.Sprintf("%s=%.0fs for all streams, or the tag %s=%.0fs of this one, sets the length", settings.EnvFragmentDuration, setting,
		desired.TagFragment, setting)
}

// seconds is the length of a fragment.
func seconds(s float64) string {
	if s == float64(int(s)) {
		return fmt.Sprintf("%.0f s", s)
	}
	return fmt.Sprintf("%.1f s", s)
}

// money is an amount: cents or, where it is less than some, four places. What nobody pays keeps its place in a table.
func money(amount float64, currency string) string {
	text := fmt.Sprintf("%.2f", amount)
	switch {
	case amount >= 1e9:
		text = fmt.Sprintf("%.3g", amount)
	case amount < 0.1 && amount > 0:
		text = fmt.Sprintf("%.4f", amount)
	}
	if currency == "USD" {
		return "$" + text
	}
	return text + " " + currency
}

package kvs

import (
	"fmt"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/media"
)

// The prices in US dollars. Source: AWS, Kinesis Video Streams pricing, US East (N. Virginia),
// November 2026.
const (
	hotPerGB                 = 0.0085
	hotPerGBMonth            = 0.0230
	warmPerThousandFragments = 0.0100
	warmPerGBMonth           = 0.0125
)

// AWS's examples of that page divide MB by 1,024 and have months of 30 days.
const (
	bytesPerGB    = 1 << 30
	hoursPerMonth = 720
	// warmMinimum is how long what is stored in WARM is paid for at least.
	warmMinimum = 30 * 24 * time.Hour
)

// TierBill is what a stream costs in one storage tier, in US dollars.
type TierBill struct {
	Fragments int
	Bytes     int64   // of the fragments, as the data plane stored them
	Ingestion float64 // HOT by bytes, WARM by fragments
	GBHours   float64 // that its media was stored until now, and at least
	Storage   float64 // of these
}

// Bill is what a stream costs since it was created. What was taken in before a change of the
// storage tier stays in the tier that it came in with.
type Bill struct {
	Fragments int
	Bytes     int64
	Hot, Warm TierBill
}

// Total in US dollars.
func (b Bill) Total() float64 {
	return b.Hot.Ingestion + b.Hot.Storage + b.Warm.Ingestion + b.Warm.Storage
}

// Bill of a stream until now; fragments are those that are stored of it.
func (c *ControlPlane) Bill(stream string, fragments []media.Fragment) (b Bill, err error) {
	err = c.view(func(d Streams) error {
		b, err = d.Bill(stream, fragments, c.o.Now())
		return err
	})
	return b, err
}

// Bill of a stream until now; fragments are those that are stored of it.
func (d Streams) Bill(stream string, fragments []media.Fragment, now time.Time) (b Bill, err error) {
	s, err := d.find(streamID{StreamName: stream})
	if err != nil {
		return b, fmt.Errorf("there is no bill of stream %s: %w", stream, err)
	}
	for _, f := range fragments {
		if f.Server.Before(s.Created) {
			continue // of a stream of that name that was deleted
		}
		tier, perMonth := &b.Hot, hotPerGBMonth
		stored := min(now.Sub(f.Server), time.Duration(s.RetentionHours)*time.Hour)
		if s.tier(f.Server) == TierWarm {
			tier, perMonth = &b.Warm, warmPerGBMonth
			if s.RetentionHours > 0 {
				stored = max(stored, warmMinimum)
			}
		}
		b.Fragments++
		b.Bytes += f.Bytes
		tier.Fragments++
		tier.Bytes += f.Bytes
		gbHours := float64(f.Bytes) / bytesPerGB * max(stored, 0).Hours()
		tier.GBHours += gbHours
		tier.Storage += gbHours / hoursPerMonth * perMonth
	}
	b.Hot.Ingestion = float64(b.Hot.Bytes) / bytesPerGB * hotPerGB
	b.Warm.Ingestion = float64(b.Warm.Fragments) / 1000 * warmPerThousandFragments
	return b, nil
}

package uploader

import (
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/uploader/pace"
)

func TestTheBandwidthHoldsUploadsBack(t *testing.T) {
	t.Parallel()
	w := newRig(t, 24, roomy)
	writer := w.create(640)
	for range 5 {
		w.fragment(writer, 2*time.Second, 5000)
	}
	must(t, writer.Seal())
	began := time.Now()
	bandwidth, err := pace.ParseBandwidth("1M")
	must(t, err)
	w.drain(w.uploader(func(o *Options) { o.Bandwidth = bandwidth }))
	took := time.Since(began)
	if least := 700 * time.Millisecond; took < least {
		t.Errorf("125 kB took %v at 125 kB/s", took)
	}
	w.expectOnce()
	if stats := w.service.Stats(door); stats.Sessions != 1 {
		t.Errorf("the limit broke the session: %+v", stats)
	}
}

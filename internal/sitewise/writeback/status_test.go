package writeback

import (
	"testing"
	"time"

	cloud "github.com/kvs-edge/kvs-edge-agent/internal/cloud/sitewise"
)

// TestRefusedValuesAreCounted until SiteWise accepts them, and do not count as waiting.
func TestRefusedValuesAreCounted(t *testing.T) {
	t.Parallel()
	h := hubOf(t)
	h.recordAndSend(time.Minute)
	h.cloud.refuse = func(cloud.Entry) string { return accessDenied }
	h.recordAndSend(2 * time.Minute)
	if s := h.w.Status(); s.Refused == 0 || s.Waiting != 0 || !s.Since.IsZero() {
		t.Errorf("while all is refused the status is %+v", s)
	}
	h.cloud.refuse = nil
	h.pass(6 * time.Minute)
	if s := h.w.Status(); s.Refused != 0 || s.Waiting != 0 || s.Written.IsZero() {
		t.Errorf("afterwards the status is %+v", s)
	}
	h.w.o.Cameras = func() []Camera { return nil }
	h.pass(time.Minute)
	if s := h.w.Status(); s != (Status{Written: s.Written}) {
		t.Errorf("without a camera the status is %+v", s)
	}
}

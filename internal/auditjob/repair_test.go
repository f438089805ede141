package auditjob

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/localapi"
	"github.com/kvs-edge/kvs-edge-agent/internal/uploader"
	"github.com/kvs-edge/kvs-edge-agent/internal/uploader/queue"
)

// TestMoreThanAGigabyteNeedsAYes, and nothing is sent without it.
func TestMoreThanAGigabyteNeedsAYes(t *testing.T) {
	t.Parallel()
	sent := errors.New("sent")
	for name, row := range map[string]struct {
		bytes int64
		yes   bool
		sends bool
	}{
		"a gigabyte":             {bytes: 1_000_000_000, sends: true},
		"a byte more":            {bytes: 1_000_000_001},
		"a byte more with a yes": {bytes: 1_000_000_001, yes: true, sends: true},
		"a terabyte":             {bytes: 1_000_000_000_000},
		"a terabyte with a yes":  {bytes: 1_000_000_000_000, yes: true, sends: true},
	} {
		jobs := &Jobs{o: Options{On: func(context.Context, string, func(context.Context, *uploader.Uploader) error) error { return sent }}}
		err := jobs.repair(t.Context(), localapi.AuditRequest{Stream: "door", Repair: true, Yes: row.yes}, make([]queue.ID, 3),
			&localapi.AuditProgress{MissingBytes: row.bytes}, func(localapi.AuditProgress) {})
		if row.sends {
			if !errors.Is(err, sent) {
				t.Errorf("%s: it ends with %v", name, err)
			}
			continue
		}
		var fault *health.Fault
		if !errors.As(err, &fault) || fault.Code != codeAuditRepair || !strings.Contains(fault.Text, "3 fragments of stream door") ||
			!strings.Contains(fault.Text, "--yes") {
			t.Errorf("%s: it ends with %v", name, err)
		}
	}
}

// TestARepairThatLeavesSomething says how much.
func TestARepairThatLeavesSomething(t *testing.T) {
	t.Parallel()
	jobs := &Jobs{o: Options{On: func(context.Context, string, func(context.Context, *uploader.Uploader) error) error { return nil }}}
	err := jobs.repair(t.Context(), localapi.AuditRequest{Stream: "door", Repair: true}, make([]queue.ID, 3), &localapi.AuditProgress{},
		func(localapi.AuditProgress) {})
	if err == nil || !strings.Contains(err.Error(), "3 of 3 missing fragments of stream door are not in the cloud") {
		t.Errorf("it ends with %v", err)
	}
}

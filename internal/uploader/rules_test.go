package uploader

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/kvs"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/media"
)

func TestAnErrorWithoutTimecodeIsProvenBeforeItSkips(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 24, roomy)
	w.record(1, 4)
	w.service.Faults().Inject(door, media.ErrorAt(media.BeforeBody, 4006).Times(2))
	w.drain(w.uploader())
	w.expectAll(w.want[0])
	w.expectUploaded(1)
}

func TestErrorsAreFoundByName(t *testing.T) {
	t.Parallel()
	if r := ackRule(kvs.Ack{ErrorCode: "MIN_FRAGMENT_DURATION_REACHED"}); r.Action != Skip || r.ID != 0 {
		t.Errorf("got %+v", r)
	}
	if r := ackRule(kvs.Ack{ErrorCode: "KMS_KEY_DISABLED"}); r.ID != 4501 {
		t.Errorf("got %+v", r)
	}
	if r := ackRule(kvs.Ack{}); r.Action != BackOff {
		t.Errorf("got %+v", r)
	}
	if r := httpRule(400, "AccessDenied"); r.Action != AskUser {
		t.Errorf("got %+v", r)
	}
	if r := httpRule(400, "ThrottlingException"); r.Action != BackOff {
		t.Errorf("got %+v", r)
	}
	if r := openRule(errors.New("dial")); r.Action != NewEndpoint {
		t.Errorf("got %+v", r)
	}
	if r := openRule(fmt.Errorf("x: %w", kvs.ErrCredentials)); r.Name != credentialsRule.Name {
		t.Errorf("got %+v", r)
	}
}

func TestTheKeyAndTheStreamNeverCostAFragment(t *testing.T) {
	t.Parallel()
	for _, r := range ackRules {
		if (r.ID >= 4500 && r.ID < 4600 || r.ID == 4008) && (r.Action == Skip || r.Fragment) {
			t.Errorf("%s may skip a fragment", r.title())
		}
	}
}

const documentation = "../../docs/upload-errors.md"

func TestTheDocumentationHasTheSameRules(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile(documentation)
	must(t, err)
	var rows []string
	for line := range strings.Lines(string(data)) {
		if line = strings.TrimSpace(line); strings.HasPrefix(line, "| `") {
			rows = append(rows, line)
		}
	}
	var want []string
	for _, r := range Rules() {
		may := ""
		if r.Fragment {
			may = "; skip a fragment that keeps causing it"
		}
		first := ""
		if r.Tags {
			first = "send it again without tags; if that fails too, "
		}
		want = append(want, fmt.Sprintf("| `%s` | %s | %s%s%s | %s |", r.title(), r.Cause, first, r.Action, may, r.Advice))
	}
	if got, expected := strings.Join(rows, "\n"), strings.Join(want, "\n"); got != expected {
		t.Errorf("%s has\n%s\nWANT\n%s", documentation, got, expected)
	}
}

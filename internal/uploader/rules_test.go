package uploader

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/kvs"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/media"
)

func TestEveryErrorIDDoesWhatItsRuleSays(t *testing.T) {
	t.Parallel()
	ids := []int{4321} // of no rule
	for _, r := range ackRules {
		if r.ID != 0 {
			ids = append(ids, r.ID)
		}
	}
	for _, id := range ids {
		for _, at := range []media.Point{media.BeforeBody, media.AtFragmentStart, media.MidFragment, media.AfterReceived} {
			t.Run(fmt.Sprintf("%d %v", id, at), func(t *testing.T) {
				t.Parallel()
				rule := ackRule(kvs.Ack{EventType: kvs.Error, ErrorID: id})
				w := newWorld(t, 24, roomy)
				w.record(2, 3)
				skip := 1
				if at == media.BeforeBody {
					skip = 0
				}
				w.service.Faults().Inject(door, media.ErrorAt(at, id).Skip(skip).Times(1))
				w.drain(w.uploader())
				w.expectConsequence(rule, at != media.BeforeBody)
			})
		}
	}
}

// expectConsequence checks what a rule did; named says that the error named the second fragment.
func (w *world) expectConsequence(rule Rule, named bool) {
	w.t.Helper()
	skipped := int64(0)
	if rule.Action == Skip && named {
		skipped = 1
		w.expectAll(w.want[1])
		w.expectUploaded(1)
		if !w.sawCondition(CodeRefused, health.SystemError) {
			w.t.Error("the skipped fragment is told nowhere")
		}
	} else {
		w.expectOnce()
		w.expectUploaded(0)
	}
	if n := w.number(health.FragmentsSkipped); n != skipped {
		w.t.Errorf("%d fragments were skipped, want %d", n, skipped)
	}
	if rule.Action != Skip && !w.sawCondition(CodeUpload, rule.class()) {
		w.t.Errorf("no condition of class %s was raised", rule.class())
	}
	endpoints, credentials := w.cloud.counts()
	if (rule.Action == NewEndpoint || rule.Action == AskUser) != (endpoints > 0) || (rule.Action == NewCredentials) != (credentials > 0) {
		w.t.Errorf("the endpoint was asked for %d times again and credentials %d times, the rule says %q", endpoints, credentials, rule.Action)
	}
	for _, c := range w.health.Part(door, health.JobUploader).Snapshot().Conditions {
		if c.Code == CodeUpload {
			w.t.Errorf("the condition is still there at the end: %s", c.Text)
		}
	}
}

func TestEveryHTTPErrorDoesWhatItsRuleSays(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		status int
		name   string
	}{
		"another status": {418, ""}, "500": {500, "InternalFailure"}, "502": {502, ""}, "503": {503, ""}, "a name unknown": {400, "NewException"}, "403 expired": {403, "ExpiredTokenException"},
	}
	for _, r := range httpRules {
		if r.Status != 0 && r.Status != anyServerError {
			cases[r.title()] = struct {
				status int
				name   string
			}{r.Status, r.Name}
		}
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, 24, roomy)
			w.record(2, 3)
			w.service.Faults().Inject(door, media.Refuse(c.status, c.name).Times(2))
			w.drain(w.uploader())
			w.expectConsequence(httpRule(c.status, c.name), false)
		})
	}
}

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
		want = append(want, fmt.Sprintf("| `%s` | %s | %s%s | %s |", r.title(), r.Cause, r.Action, may, r.Advice))
	}
	if got, expected := strings.Join(rows, "\n"), strings.Join(want, "\n"); got != expected {
		t.Errorf("%s has\n%s\nWANT\n%s", documentation, got, expected)
	}
}

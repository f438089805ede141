package eventrequest

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/atomicfile"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/kvslimit"
	"github.com/kvs-edge/kvs-edge-agent/internal/statefile"
)

func TestAnEventThatCannotBeFollowedIsNamed(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", maxShownID+1)
	for _, row := range []struct{ payload, id, says string }{
		{"", "", "not a JSON object"},
		{"null", "", "not a JSON object"},
		{"[]", "", "not a JSON object"},
		{`{"StreamName":"door"}`, "", "EventId is missing"},
		{`{"EventId":7,"StreamName":"door"}`, "", "EventId is missing or not a string"},
		{`{"EventId":"` + long + `","StreamName":"door"}`, long[1:], "EventId has 65 bytes; at most 64"},
		{`{"EventId":"a","Filler":"` + strings.Repeat("x", kvslimit.MessageBytes) + `"}`, "", "at most 131072 are allowed"},
		{`{"EventId":"a"}`, "a", "StreamName is missing"},
		{`{"EventId":"b","StreamName":"../door"}`, "b", "cannot be the name of a stream"},
		{`{"EventId":"c","StreamNames":"door"}`, "c", "of the wrong kind"},
		{`{"EventId":"d","StreamName":"door","Time":"now"}`, "d", "Time must be a time in seconds since 1970, a number."},
		{`{"EventId":"d","StreamName":"door","Time":1795233600000}`, "d", "Time must be a time in seconds since 1970"}, // milliseconds
		{`{"EventId":"e","StreamName":"door","PreRollInSeconds":-1}`, "e", "PreRollInSeconds must be"},
		{`{"EventId":"f","StreamName":"door","PostRollInSeconds":1e300}`, "f", "PostRollInSeconds must be"},
	} {
		in, wrong := parse([]byte(row.payload))
		if in.ID != row.id || !strings.Contains(wrong, row.says) {
			t.Errorf("%.80s is read as %q: %q, want %q", row.payload, in.ID, wrong, row.says)
		}
	}
	in, wrong := parse([]byte(`{"EventId":"one","StreamName":"door","StreamNames":["yard"],"Time":1795233600.5,"PreRollInSeconds":2.5,` +
		`"Reason":"x"}`))
	if wrong != "" || in.ID != "one" || strings.Join(in.Streams, ",") != "yard,door" || !in.Time.Equal(time.UnixMilli(1795233600500)) ||
		*in.Pre != 2500*time.Millisecond || in.Post != nil || in.Reason != "x" {
		t.Errorf("a good one is read as %+v, %q", in, wrong)
	}
}

func FuzzEvents(f *testing.F) {
	f.Add([]byte(`{"EventId":"one","StreamName":"door","Time":1795233600.5,"PreRollInSeconds":2.5}`))
	f.Add([]byte(`{"EventId":"one","StreamNames":["door"],"PostRollInSeconds":null}`))
	f.Fuzz(func(t *testing.T, payload []byte) {
		in, wrong := parse(payload)
		if wrong == "" && (in.ID == "" || len(in.ID) > maxShownID || len(in.Streams) == 0 || in.Pre != nil && *in.Pre < 0) {
			t.Errorf("%q is read as %+v", payload, in)
		}
	})
}

// rig is the cloud's events of a hub, whose clock the test sets.
type rig struct {
	t        *testing.T
	dir      statefile.Dir
	now      time.Time
	r        *Requests
	progress map[string]Progress
	refuse   error
	said     []answer
	sent     []func() // of the answers that want to know
}

func newRig(t *testing.T) *rig {
	t.Helper()
	dir, err := statefile.Open(t.TempDir(), atomicfile.OS{})
	if err != nil {
		t.Fatal(err)
	}
	s := &rig{t: t, dir: dir, now: time.Unix(1_795_233_600, 0), progress: make(map[string]Progress)}
	s.restart()
	return s
}

// restart begins as the agent does.
func (s *rig) restart() {
	s.r = New(Options{
		Trigger:  func(context.Context, Request) error { return s.refuse },
		Progress: func(id string) (Progress, bool) { p, known := s.progress[id]; return p, known },
		Publish: func(payload []byte, id string, sent func()) {
			var a answer
			if err := json.Unmarshal(payload, &a); err != nil || a.EventID != id {
				s.t.Errorf("%s is said of %s: %v", payload, id, err)
			}
			s.said = append(s.said, a)
			if sent != nil {
				s.sent = append(s.sent, sent)
			}
		},
		Dir: s.dir, Now: func() time.Time { return s.now }, Log: zap.NewNop(),
		Health: health.NewRegistry(time.Now).Component("", health.JobConfig),
	})
}

// check is what Run does every second.
func (s *rig) check() {
	s.r.forget()
	for _, a := range s.r.list {
		s.r.answer(a, false)
	}
}

// expect compares what was said since, by status and fragments.
func (s *rig) expect(when string, want ...string) {
	s.t.Helper()
	var got []string
	for _, a := range s.said {
		got = append(got, a.Status+" "+strings.Repeat("+", a.Done)+strings.Repeat("-", a.Total-a.Done))
	}
	s.said = nil
	if strings.Join(got, "|") != strings.Join(want, "|") {
		s.t.Errorf("%s the cloud hears %q, want %q", when, got, want)
	}
}

func TestEachEventIsAnsweredUntilTheBrokerHasTheLastAnswer(t *testing.T) {
	t.Parallel()
	s := newRig(t)
	event := []byte(`{"EventId":"one","StreamName":"door"}`)
	s.progress["one"] = Progress{Open: true, Total: 2}
	s.r.receive(t.Context(), event, false)
	s.expect("at its start", "RUNNING --")
	s.progress["one"] = Progress{Open: true, Total: 3, Done: 1}
	s.now = s.now.Add(time.Second)
	s.check()
	s.expect("a second later")
	s.now = s.now.Add(answerEvery)
	s.check()
	s.check()
	s.expect("after five seconds", "RUNNING +--")
	s.r.receive(t.Context(), event, true)
	s.expect("asked once more", "RUNNING +--")
	s.restart()
	s.progress["one"] = Progress{Total: 3, Done: 3, Final: true}
	s.check()
	s.expect("at the end", "DONE +++")
	s.restart() // before the broker has it
	s.check()
	s.expect("after a restart", "DONE +++")
	s.sent[len(s.sent)-1]()
	s.check()
	s.restart()
	s.check()
	s.expect("once the broker has the last answer")
	s.r.receive(t.Context(), event, true)
	s.expect("asked after the end", "DONE +++")
}

// inbox has messages that come one at a time.
type inbox struct {
	ready chan struct{}
	next  []byte
}

func (i *inbox) Ready() <-chan struct{} { return i.ready }

func (i *inbox) Take(each func(payload []byte, repeated bool, acknowledge func())) {
	each(i.next, false, func() {})
}

// TestAnAnswerThatIsDeliveredLateIsNotTakenForALaterOne asks twice about an event, and again after it was forgotten.
func TestAnAnswerThatIsDeliveredLateIsNotTakenForALaterOne(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newRig(t)
		in := &inbox{ready: make(chan struct{}), next: []byte(`{"EventId":"one","StreamName":"door"}`)}
		s.r.o.Inbox = in
		ctx, end := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			s.r.Run(ctx)
		}()
		s.progress["one"] = Progress{Total: 3, Done: 3, Final: true}
		ask := func() {
			in.ready <- struct{}{}
			synctest.Wait()
		}
		ask()
		ask()
		s.expect("asked twice", "DONE +++", "DONE +++")
		s.sent[0]()
		time.Sleep(time.Hour) // it is forgotten, and nothing is checked any more
		s.sent[1]()
		time.Sleep(time.Hour)
		ask()
		s.expect("asked once more", "DONE +++")
		time.Sleep(time.Hour)
		end()
		<-done
		s.restart()
		s.check()
		s.expect("after a restart before the broker has the last answer", "DONE +++")
	})
}

func TestWhatBecameOfAnEventIsSaid(t *testing.T) {
	t.Parallel()
	for says, p := range map[string]*Progress{
		"Nothing is recorded of that time":   {Final: true},
		"1 of 3 fragments stay on the hub":   {Final: true, Total: 3, Done: 2, Refused: 1},
		"The event is no longer kept":        nil,
		"This hub has no stream of the name": {},
	} {
		s := newRig(t)
		if p != nil {
			s.progress["one"] = *p
			if !p.Final {
				s.refuse = errors.New("This hub has no stream of the name")
			}
		}
		s.r.receive(t.Context(), []byte(`{"EventId":"one","StreamName":"door"}`), false)
		if len(s.said) != 1 || s.said[0].Status != Failed || !strings.Contains(s.said[0].Details, says) {
			t.Errorf("%+v is said, want %q", s.said, says)
		}
	}
}

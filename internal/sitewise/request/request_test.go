package request

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/atomicfile"
	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/awserr"
	cloud "github.com/kvs-edge/kvs-edge-agent/internal/cloud/sitewise"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/sitewise"
	"github.com/kvs-edge/kvs-edge-agent/internal/statefile"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools"
)

const patience = time.Minute

// rig is requests between a SiteWise in memory, whose property has a history, and an upload that waits. The stand-in is asked in
// the tests of the whole agent.
type rig struct {
	t        *testing.T
	requests *Requests
	messages chan []byte
	dir      statefile.Dir
	health   *health.Registry
	stop     func()
	goOn     chan error // what each upload returns

	mu      sync.Mutex
	now     time.Time
	history []cloud.Value
	denied  bool // the history may not be read
	uploads []string
	live    []string
}

var camera = sitewise.Camera{Asset: "asset-1", Name: "front", Stream: "door", Properties: map[string]string{sitewise.UploadRequest: "p"}}

func newRig(t *testing.T) *rig {
	t.Helper()
	dir, err := statefile.Open(t.TempDir(), atomicfile.OS{})
	if err != nil {
		t.Fatal(err)
	}
	return &rig{t: t, dir: dir, health: health.NewRegistry(time.Now), now: noon, goOn: make(chan error, 10)}
}

func (r *rig) start() {
	r.messages = make(chan []byte)
	r.requests = New(Options{
		Cameras: func() sitewise.Cameras { return sitewise.Cameras{camera} }, Cloud: r, Every: 20 * time.Millisecond, Messages: r.messages,
		Live: func(asset string, from, until time.Time) {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.live = append(r.live, fmt.Sprintf("%s %s-%s", asset, from.Format("15:04:05"), until.Format("15:04:05")))
		},
		Upload: r.upload, Dir: r.dir, Now: r.clock, Health: r.health, Log: zap.NewNop(), Recorded: time.Nanosecond,
	})
	ctx, cancel := context.WithCancel(r.t.Context())
	done := make(chan struct{})
	go func() { defer close(done); r.requests.Run(ctx) }()
	r.stop = sync.OnceFunc(func() { cancel(); <-done })
	r.t.Cleanup(r.stop)
}

func (r *rig) clock() time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.now
}

func (r *rig) upload(ctx context.Context, stream string, from, to time.Time, each func(done, total int)) error {
	r.mu.Lock()
	r.uploads = append(r.uploads, fmt.Sprintf("%s %s-%s", stream, from.Format("15:04:05"), to.Format("15:04:05")))
	r.mu.Unlock()
	each(1, 2)
	select {
	case err := <-r.goOn:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Values implements Cloud.
func (r *rig) Values(_ context.Context, refs []cloud.Ref) (map[cloud.Ref]cloud.Value, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := map[cloud.Ref]cloud.Value{refs[0]: {}}
	if len(r.history) > 0 {
		out[refs[0]] = r.history[len(r.history)-1]
	}
	return out, nil
}

// History implements Cloud.
func (r *rig) History(_ context.Context, _ cloud.Ref, from, to time.Time, _ int) (list []cloud.Value, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.denied {
		return nil, &cloud.Error{Operation: "GetAssetPropertyValueHistory", Meaning: awserr.Error{Kind: awserr.Denied, Status: 403}}
	}
	for _, v := range r.history {
		if v.Time.After(from) && !v.Time.After(to) {
			list = append(list, v)
		}
	}
	return list, nil
}

// ask writes values of the property, a second after the other.
func (r *rig) ask(at time.Time, texts ...string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i, text := range texts {
		r.history = append(r.history, cloud.Value{Time: at.Add(time.Duration(i) * time.Second), Kind: cloud.Text, Text: text})
	}
}

func (r *rig) await(what string, holds func() error) {
	r.t.Helper()
	testtools.Eventually(r.t, patience, func() error {
		r.mu.Lock()
		defer r.mu.Unlock()
		if err := holds(); err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
		return nil
	})
}

// awaitUploads waits until these have started, in any order.
func (r *rig) awaitUploads(want ...string) {
	r.t.Helper()
	slices.Sort(want)
	r.await("the uploads", func() error {
		if got := slices.Sorted(slices.Values(r.uploads)); !slices.Equal(got, want) {
			return fmt.Errorf("they are %v, want %v", got, want)
		}
		return nil
	})
}

func (r *rig) awaitAnswer(request, status, details string) {
	r.t.Helper()
	r.await("the answer to "+request, func() error {
		for _, one := range r.requests.List() {
			if one.Request == request && one.Status == status && strings.Contains(one.Details, details) {
				return nil
			}
		}
		return fmt.Errorf("listed are %+v", r.requests.List())
	})
}

func span(from, to string) string {
	at := func(clock string) int64 {
		t, _ := time.Parse("15:04:05", clock)
		return noon.Truncate(24 * time.Hour).Add(t.Sub(t.Truncate(24 * time.Hour))).UnixMilli()
	}
	return fmt.Sprintf("%d-%d", at(from), at(to))
}

// Row 15 and 17: three requests within one interval, while one runs, each once, also over a restart and when it comes by a message
// as well.
func TestRow17EachRequestIsDoneOnce(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.ask(noon.Add(-time.Hour), span("08:00:00", "08:05:00")) // before the hub was there: of another one
	r.start()
	r.ask(noon, span("09:00:00", "09:05:00"), span("10:00:00", "10:05:00"), span("11:00:00", "11:05:00"))
	three := []string{"door 09:00:00-09:05:00", "door 10:00:00-10:05:00", "door 11:00:00-11:05:00"}
	r.awaitUploads(three...)
	r.messages <- []byte(fmt.Sprintf(`{"payload":{"assetId":"asset-1","propertyId":"p","values":[{"timestamp":{"timeInSeconds":%d},"value":`+
		`{"stringValue":"%s"}}]}}`, noon.Unix(), span("09:00:00", "09:05:00")))
	r.goOn <- nil
	r.await("one is done", func() error {
		done := 0
		for _, one := range r.requests.List() {
			if one.Status == Done {
				done++
			}
		}
		if done != 1 {
			return fmt.Errorf("%d are", done)
		}
		return nil
	})
	r.awaitUploads(three...)
	r.await("the file", func() error {
		var doc document
		if err := r.dir.ReadOnly(file, &doc); err != nil || len(doc.Open) != 2 {
			return fmt.Errorf("%d are open in it: %w", len(doc.Open), err)
		}
		return nil
	})
	r.stop()
	r.uploads = nil
	r.start() // the two that were not done
	r.await("the rest", func() error {
		if len(r.uploads) != 2 {
			return fmt.Errorf("they are %v", r.uploads)
		}
		return nil
	})
	r.goOn <- nil
	r.goOn <- nil
	r.ask(noon.Add(time.Minute), span("09:00:00", "09:05:00")) // once more, at another time
	r.await("the same again", func() error {
		if len(r.uploads) != 3 {
			return fmt.Errorf("they are %v", r.uploads)
		}
		return nil
	})
}

// Row 14: by a message alone, at once.
func TestRow14ByAMessage(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.start()
	r.messages <- []byte(`garbage`)
	r.messages <- []byte(fmt.Sprintf(`{"payload":{"assetId":"asset-2","propertyId":"p","values":[{"timestamp":{"timeInSeconds":%d},"value":`+
		`{"stringValue":"live"}}]}}`, noon.Unix()))
	r.messages <- []byte(fmt.Sprintf(`{"payload":{"assetId":"asset-1","propertyId":"p","values":[{"timestamp":{"timeInSeconds":%d},"value":`+
		`{"stringValue":"Live"}}]}}`, noon.Unix()))
	r.await("live", func() error {
		if !slices.Equal(r.live, []string{"asset-1 12:00:00-12:05:00"}) {
			return fmt.Errorf("%v", r.live)
		}
		return nil
	})
}

// Row 16: live requests, of which those that are over are not followed.
func TestRow16Live(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.start()
	r.ask(noon.Add(-4*time.Minute), "live")
	r.ask(noon, "LIVE")
	r.ask(noon.Add(5*time.Minute), "live") // by a clock that is ahead
	r.await("live", func() error {
		if !slices.Equal(r.live, []string{"asset-1 11:56:00-12:01:00", "asset-1 12:00:00-12:05:00", "asset-1 12:00:00-12:05:00"}) {
			return fmt.Errorf("%v", r.live)
		}
		return nil
	})
	r.stop()
	r.now = noon.Add(time.Hour)
	r.ask(noon.Add(20*time.Minute), "live")
	r.ask(noon.Add(59*time.Minute), "live")
	r.start()
	r.await("live after a pause", func() error {
		if len(r.live) != 4 || r.live[3] != "asset-1 12:59:00-13:04:00" {
			return fmt.Errorf("%v", r.live)
		}
		return nil
	})
}

// Row 17: what cannot be followed is a sentence and not a loop, and the result of an upload is named, with the times that SiteWise
// does not accept.
func TestRow17Answers(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.start()
	r.ask(noon, span("09:05:00", "09:00:00"))
	r.awaitAnswer(span("09:05:00", "09:00:00"), Failed, "but must have an end that is after its start.")
	conditions := r.health.Component("door", health.JobConfig).Snapshot().Conditions
	if len(conditions) != 1 || conditions[0].Code != codeRequest || !strings.Contains(conditions[0].Text, "for stream door was not followed") {
		t.Errorf("conditions are %+v", conditions)
	}
	r.goOn <- health.UserFault("upload-request", nil, "Nothing is recorded of stream door.")
	r.ask(noon.Add(time.Minute), span("09:00:00", "09:01:00"))
	r.awaitAnswer(span("09:00:00", "09:01:00"), Failed, "Nothing is recorded of stream door.")
	old := fmt.Sprintf("%d-%d", noon.Add(-10*24*time.Hour).UnixMilli(), noon.Add(-9*24*time.Hour).UnixMilli())
	r.goOn <- nil
	r.ask(noon.Add(2*time.Minute), old)
	r.awaitAnswer(old, Done, "takes no values that are older than 7 days")
	if left := r.health.Component("door", health.JobConfig).Snapshot().Conditions; len(left) > 0 {
		t.Errorf("conditions are %+v after a good one", left)
	}
	r.uploads = nil
	r.ask(noon.Add(3*time.Minute), span("11:59:00", "12:10:00"))
	r.awaitUploads("door 11:59:00-12:00:00")
	r.mu.Lock()
	r.now = noon.Add(11 * time.Minute)
	r.mu.Unlock()
	r.awaitAnswer(span("11:59:00", "12:10:00"), Running, "")
}

// A request that ends in the future is uploaded as far as there is something, and to its end.
func TestRow17AnEndInTheFuture(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.requests = New(Options{Upload: r.upload, Now: r.clock, Recorded: time.Nanosecond})
	r.goOn <- health.UserFault("upload-request", nil, "Nothing is recorded yet.")
	r.goOn <- nil
	one, w := &Request{Stream: "door"}, wanted{from: noon.Add(-time.Minute), to: noon.Add(time.Second)}
	done := make(chan error, 1)
	go func() { done <- r.requests.upload(t.Context(), one, w) }()
	r.await("the first part", func() error {
		if len(r.uploads) == 0 {
			return errors.New("it is not begun")
		}
		r.now = noon.Add(2 * time.Second)
		return nil
	})
	if err := <-done; err != nil {
		t.Error(err)
	}
	r.awaitUploads("door 11:59:00-12:00:00", "door 11:59:00-12:00:01")
}

// Where the history may not be read, as the role of the edge connector's guide, the newest value is followed.
func TestWithoutTheRightToReadTheHistory(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.denied = true
	r.start()
	r.ask(noon, span("09:00:00", "09:05:00"))
	r.awaitUploads("door 09:00:00-09:05:00")
	r.ask(noon.Add(time.Minute), span("10:00:00", "10:05:00"))
	r.awaitUploads("door 09:00:00-09:05:00", "door 10:00:00-10:05:00")

	r.mu.Lock() // the right is granted
	r.denied, r.now = false, r.now.Add(2*deniedFor)
	r.mu.Unlock()
	r.ask(noon.Add(2*deniedFor), span("11:00:00", "11:05:00"), span("11:10:00", "11:15:00"))
	r.awaitUploads("door 09:00:00-09:05:00", "door 10:00:00-10:05:00", "door 11:00:00-11:05:00", "door 11:10:00-11:15:00")
}

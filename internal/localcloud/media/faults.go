package media

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/awsapi"
)

// Point is a moment in the life of a PutMedia request at which a fault can strike.
type Point uint8

const (
	BeforeResponse  Point = iota // the request has arrived, nothing was answered
	BeforeBody                   // 200 was answered, no part of the body was read
	AtFragmentStart              // the fragment's BUFFERING was sent
	MidFragment                  // two blocks of the fragment were read (or its only one)
	AfterReceived                // the fragment's RECEIVED was sent, and it was not stored
	AfterStored                  // the fragment was stored, and its PERSISTED was not sent
)

var pointNames = [...]string{
	"before the response", "before the body", "at the start of a fragment", "mid-fragment", "after RECEIVED", "after storing",
}

// String says the point in words.
func (p Point) String() string {
	if int(p) < len(pointNames) {
		return pointNames[p]
	}
	return fmt.Sprintf("point %d", uint8(p))
}

type action uint8

const (
	actError action = iota + 1
	actRefuse
	actReset
	actHang
	actSlow
	actDelay
	actDrop
)

// Fault is a way to fail; made by ErrorAt, Refuse, ResetAt, BlackHoleAt, Slow, DelayPersisted and Drop.
type Fault struct {
	action action
	at     Point
	ack    ack
	answer *awsapi.Error
	rate   float64
	delay  time.Duration
	drop   EventType
	times  int
	skip   int
	only   []int64 // timecodes of the fragments at which it strikes; nil = all
	then   []int
}

// ErrorAt sends an ERROR acknowledgement with that ErrorId, drops the fragment, and closes the
// connection. At BeforeResponse it comes right after the 200.
func ErrorAt(p Point, id int) Fault {
	code, ok := errorCodes[id]
	if !ok {
		code = "UNKNOWN_ERROR"
	}
	return Fault{action: actError, at: max(p, BeforeBody), ack: ack{event: EventError, id: id, code: code}}
}

// NamedErrorAt is ErrorAt with an ErrorCode that has no documented ErrorId.
func NamedErrorAt(p Point, code string) Fault {
	return Fault{action: actError, at: max(p, BeforeBody), ack: ack{event: EventError, code: code}}
}

// Refuse answers a PutMedia request with an HTTP error; name is what x-amzn-ErrorType says ("" = no such header).
func Refuse(status int, name string) Fault {
	return Fault{action: actRefuse, answer: &awsapi.Error{Status: status, Name: name, Message: "injected: " + http.StatusText(status)}}
}

// ResetAt resets the TCP connection.
func ResetAt(p Point) Fault { return Fault{action: actReset, at: p} }

// BlackHoleAt reads nothing and answers nothing from that point on. The connection stays open until
// the fault is cleared, and then continues where it was.
func BlackHoleAt(p Point) Fault { return Fault{action: actHang, at: p} }

// Slow reads the bodies of requests at that rate. Times counts the requests.
func Slow(bytesPerSecond float64) Fault { return Fault{action: actSlow, rate: bytesPerSecond} }

// DelayPersisted sends PERSISTED that much later. Times counts the acknowledgements.
func DelayPersisted(d time.Duration) Fault { return Fault{action: actDelay, delay: d} }

// Drop never sends acknowledgements of that kind; what they report happens all the same.
func Drop(e EventType) Fault { return Fault{action: actDrop, drop: e} }

// Times ends the fault after it has struck n times. Without it, it stays until it is cleared.
func (f Fault) Times(n int) Fault { f.times = n; return f }

// Skip lets the first n occasions pass.
func (f Fault) Skip(n int) Fault { f.skip = n; return f }

// Of lets the fault strike at fragments with these timecodes (ms) only, at points from AtFragmentStart on.
func (f Fault) Of(timecodes ...int64) Fault { f.only = timecodes; return f }

// Then sends further ERRORs behind that of ErrorAt, which name no fragment: FragmentTimecode is -1, as the
// service does when it cannot read on behind a fragment that it has refused.
func (f Fault) Then(ids ...int) Fault { f.then = ids; return f }

// Faults holds what is to fail. All methods may be called at any time from any goroutine.
type Faults struct {
	mu      sync.Mutex
	list    []*Injected
	down    map[string]chan struct{} // closed when the stream ("" = all) comes back
	changed chan struct{}            // closed and replaced when a fault strikes
	cut     func(stream string)      // resets open connections
}

// Injected is one fault at work.
type Injected struct {
	faults  *Faults
	stream  string
	fault   Fault
	fired   int
	cleared chan struct{}
}

func newFaults(cut func(stream string)) *Faults {
	return &Faults{down: map[string]chan struct{}{}, changed: make(chan struct{}), cut: cut}
}

// Inject puts a fault to work for one stream, or for all ("").
func (f *Faults) Inject(stream string, x Fault) *Injected {
	f.mu.Lock()
	defer f.mu.Unlock()
	i := &Injected{faults: f, stream: stream, fault: x, cleared: make(chan struct{})}
	f.list = append(f.list, i)
	return i
}

// Clear removes all faults, and ends outages and black holes.
func (f *Faults) Clear() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, i := range f.list {
		close(i.cleared)
	}
	f.list = nil
	for stream, back := range f.down {
		close(back)
		delete(f.down, stream)
	}
}

// Down cuts a stream, or all (""), off: open connections are reset, and so is every new one.
func (f *Faults) Down(stream string) {
	f.mu.Lock()
	if _, already := f.down[stream]; !already {
		f.down[stream] = make(chan struct{})
	}
	f.mu.Unlock()
	f.cut(stream)
}

// Up ends Down.
func (f *Faults) Up(stream string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if back, ok := f.down[stream]; ok {
		close(back)
		delete(f.down, stream)
	}
}

// Fired counts how often the fault has struck.
func (i *Injected) Fired() int {
	i.faults.mu.Lock()
	defer i.faults.mu.Unlock()
	return i.fired
}

// Await waits until the fault has struck n times.
func (i *Injected) Await(ctx context.Context, n int) error {
	for {
		i.faults.mu.Lock()
		fired, changed := i.fired, i.faults.changed
		i.faults.mu.Unlock()
		if fired >= n {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("the fault has struck %d of %d times: %w", fired, n, ctx.Err())
		}
	}
}

// Clear takes this fault away and wakes what hangs in it.
func (i *Injected) Clear() {
	i.faults.mu.Lock()
	defer i.faults.mu.Unlock()
	if at := slices.Index(i.faults.list, i); at >= 0 {
		i.faults.list = slices.Delete(i.faults.list, at, at+1)
	}
	select {
	case <-i.cleared:
	default:
		close(i.cleared)
	}
}

func (f *Faults) isDown(stream string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	_, one := f.down[stream]
	_, all := f.down[""]
	return one || all
}

// strike finds the first fault for the stream that want accepts and whose turn it is, and counts it.
func (f *Faults) strike(stream string, want func(Fault) bool) *Injected {
	f.mu.Lock()
	defer f.mu.Unlock()
	for at, i := range f.list {
		if i.stream != "" && i.stream != stream || !want(i.fault) {
			continue
		}
		if i.fault.skip > 0 {
			i.fault.skip--
			continue
		}
		i.fired++
		if i.fault.times > 0 && i.fired == i.fault.times {
			f.list = slices.Delete(f.list, at, at+1)
		}
		close(f.changed)
		f.changed = make(chan struct{})
		return i
	}
	return nil
}

// at returns the fault that strikes the stream at that point, in the fragment with that timecode; nil = none.
func (f *Faults) at(stream string, p Point, timecode int64) *Injected {
	return f.strike(stream, func(x Fault) bool {
		if x.only != nil && (p < AtFragmentStart || !slices.Contains(x.only, timecode)) {
			return false
		}
		switch x.action {
		case actError, actReset, actHang:
			return x.at == p
		case actRefuse:
			return p == BeforeResponse
		}
		return false
	})
}

// readRate is the rate at which the body of a new request is read; 0 = unlimited.
func (f *Faults) readRate(stream string) float64 {
	if i := f.strike(stream, func(x Fault) bool { return x.action == actSlow }); i != nil {
		return i.fault.rate
	}
	return 0
}

func (f *Faults) dropped(stream string, e EventType) bool {
	return f.strike(stream, func(x Fault) bool { return x.action == actDrop && x.drop == e }) != nil
}

func (f *Faults) persistedDelay(stream string) time.Duration {
	if i := f.strike(stream, func(x Fault) bool { return x.action == actDelay }); i != nil {
		return i.fault.delay
	}
	return 0
}

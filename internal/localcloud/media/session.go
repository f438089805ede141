package media

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/archive"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/logevent"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/strictmkv"
)

// spillSize bounds the memory of a session: a fragment is written in one go up to this size, and in
// pieces of this size above it.
const spillSize = 4 << 20

// session is one PutMedia request that was answered with 200. Its goroutine reads the body; a second
// one, owned by run, sends acknowledgements.
type session struct {
	service  *Service
	st       *streamState
	info     StreamInfo
	start    time.Time // producer start timestamp
	relative bool
	began    time.Time
	caller   string // who made the request
	ctx      context.Context
	cancel   context.CancelCauseFunc
	done     chan struct{}
	rc       *http.ResponseController
	body     io.Reader
	acks     *ackWriter

	// All below belongs to the reading goroutine, but for bytes.waiting and bytes.idled.
	bytes   *meteredBody
	reader  *strictmkv.Reader
	file    *archive.File
	current *fragment     // being read
	pending *fragment     // read, and not ended by what follows it
	before  *fragment     // the last that was read whole, ended or not
	last    time.Duration // greatest block time of the fragments before
	any     bool          // last is valid

	// The elements between Clusters.
	outside   []byte           // since the last Cluster, or since the tag that ended its fragment
	tags      []Tag            // of the next fragment
	earlyTags []strictmkv.Span // Tags elements before Tracks
	firstHead string           // name of the head of the first fragment; "" before it
	head      string           // name of the head of the fragments that follow
}

var (
	errReset    = errors.New("connection reset by an injected fault")
	errNotTaken = errors.New("the producer does not read its acknowledgements")
)

// failure is the reason for an ERROR acknowledgement.
type failure struct {
	id    int
	code  string
	where string // "" = the fragment's Cluster
	why   string
	of    *fragment // that it is about; nil = as blamed says
	then  []int     // further ERRORs that name no fragment
}

func (f *failure) Error() string { return f.code + ": " + f.why }

func fail(id int, where, format string, args ...any) *failure {
	return &failure{id: id, code: errorCodes[id], where: where, why: fmt.Sprintf(format, args...)}
}

// run serves the session and returns why it ended; nil when the producer ended the body.
func (se *session) run() error {
	stopDeadline := context.AfterFunc(se.ctx, func() {
		past := time.Unix(1, 0)
		_ = se.rc.SetWriteDeadline(past)
		_ = se.rc.SetReadDeadline(past) // frees a blocked read, and thereby ends the session
	})
	defer stopDeadline()
	se.bytes = &meteredBody{se: se, rate: se.service.faults.readRate(se.st.name)}
	if err := se.rc.Flush(); err != nil {
		return err
	}
	go se.acks.run(se.ctx, se.service.o.Limits.IdleInterval, se.idle, func(err error) {
		se.cancel(fmt.Errorf("%w: %w", errNotTaken, err))
	})
	err := se.read()
	if cause := context.Cause(se.ctx); cause != nil {
		err = cause // a read that failed because of the cause says nothing new
	}
	se.conclude(err)
	se.acks.stop(err == nil || errors.Is(err, errIdle))
	return err
}

// conclude informs the producer, the log and the counters how the session ended.
func (se *session) conclude(err error) {
	log := se.service.log.With(zap.String("stream", se.st.name))
	failed := (*failure)(nil)
	switch {
	case err == nil:
		log.Debug("PutMedia ended")
		return
	case errors.As(err, &failed):
		a := ack{event: EventError, id: failed.id, code: failed.code}
		f := se.blamed(failed)
		if f != nil && f.number != "" {
			a.fragment, a.timecode, a.number = true, f.timecode, f.number
		}
		se.refuseFragment(failed, f)
		se.send(a)
		for _, id := range failed.then {
			se.send(ack{event: EventError, fragment: true, timecode: -1, id: id, code: errorCodes[id]})
		}
		se.st.update(func() {
			se.st.stats.Errors++
			se.st.stats.LastError = failed.Error()
		})
		logevent.FragmentRefused.Log(log, zap.Error(err))
	default:
		logevent.PutMediaInterrupted.Log(log, zap.Error(err))
		se.refuseEnd(err)
		if se.current != nil && !se.current.committed || se.pending != nil {
			se.st.update(func() { se.st.stats.Torn++ })
		}
	}
	if se.file != nil {
		if err := se.file.Discard(); err != nil {
			logevent.FragmentNotDropped.Log(log, zap.Error(err))
		}
	}
}

// blamed is the fragment that an ERROR is about.
func (se *session) blamed(f *failure) *fragment {
	if f.of != nil {
		return f.of
	}
	if se.current == nil {
		return se.pending
	}
	return se.current
}

// read takes the body to its end.
func (se *session) read() error {
	if err := se.strike(BeforeBody); err != nil {
		return err
	}
	limits := se.service.o.Limits
	se.reader = strictmkv.NewReader(se.bytes, strictmkv.Options{
		AsStored: se.service.o.Strictness == AsStored, MaxTracks: limits.MaxTracks, MaxPayload: limits.MaxFragmentBytes,
		Tap: se.tap, Outside: se.tapOutside,
	})
	for {
		event, err := se.reader.Next()
		if err != nil {
			return se.endOfBody(err)
		}
		if err := se.handle(event); err != nil {
			return err
		}
	}
}

// endOfBody judges why the reader stopped. The end of a body ends its last fragment too.
func (se *session) endOfBody(err error) error {
	var bad *strictmkv.Error
	var failed *failure
	nothing := se.bytes.read == 0 && (se.bytes.err == nil || errors.Is(se.bytes.err, io.EOF))
	switch {
	case errors.As(err, &failed):
		return failed
	case errors.Is(err, io.EOF), nothing:
		return se.settle(nil)
	case se.bytes.idled.Load() && errors.Is(err, io.ErrUnexpectedEOF):
		return errIdle
	case se.bytes.err != nil && !errors.Is(se.bytes.err, io.EOF):
		return fmt.Errorf("the connection broke after %d bytes: %w", se.reader.Offset(), se.bytes.err)
	case !errors.As(err, &bad):
		return fail(internalError, "", "%v", err)
	}
	id := invalidMKV
	switch {
	case errors.Is(err, strictmkv.ErrTooManyTracks):
		id = tooManyTracks
	case errors.Is(err, strictmkv.ErrUnknownTrack):
		id = trackNumberMismatch
	}
	return fail(id, fmt.Sprintf("%s at byte %d", bad.Element, bad.Offset), "%s", bad.Rule)
}

func (se *session) handle(event strictmkv.Event) error {
	r := se.reader
	switch event.Kind {
	case strictmkv.KindHeader:
		file, err := se.st.fileFor(r.Header())
		if err != nil {
			return fail(internalError, "", "cannot store media: %v", err)
		}
		se.file = file
	case strictmkv.KindTags:
		return se.takeTags(event)
	case strictmkv.KindFragmentStart:
		return se.beginFragment(r.Header(), event)
	case strictmkv.KindBlock:
		return se.takeBlock(event)
	case strictmkv.KindFragmentEnd:
		return se.endFragment(r.Header())
	}
	return nil
}

// settle judges the fragment that was read last and stores it, as nothing more will belong to it.
// next is the fragment whose start ends it; nil when it is ended by its tag or by the session.
func (se *session) settle(next *fragment) error {
	before, least := se.before, se.service.o.Limits.leastDistance()
	if next != nil && before != nil && next.begin > before.begin { // else it is the next one that is at fault
		if lasted := next.begin - before.begin; lasted < least {
			why := fmt.Sprintf("the fragment at %d ms lasts %v; the minimum is %v", before.timecode, lasted, se.service.o.Limits.MinFragmentDuration)
			return &failure{code: minFragmentDuration, of: before, why: why}
		}
	}
	f := se.pending
	if f == nil {
		return nil
	}
	f.tail, se.outside = se.outside, nil
	se.pending = nil
	return se.store(f)
}

// store acknowledges a complete fragment and commits it.
func (se *session) store(f *fragment) error {
	next := se.current
	se.current = f // what goes wrong from here on is about this one
	se.send(f.ack(EventReceived))
	if err := se.strike(AfterReceived); err != nil {
		return err
	}
	stored := Fragment{
		Stream: se.st.name, Number: f.number, Producer: f.producer, Server: f.server, Duration: f.latest - f.begin,
		Bytes: f.stored, Frames: f.frames(), SHA256: f.sum, File: se.file.Name, Offset: se.file.End(), Tags: f.tags,
		Head: f.head, ClusterHead: f.clusterHead, Lead: f.lead, Tail: f.tail,
	}
	if err := se.service.archive.Note(stored); err != nil {
		return fail(internalError, "", "cannot note the fragment: %v", err)
	}
	se.st.update(func() {
		se.file.Commit(f.stored)
		se.st.add(stored)
		se.st.stats.Fragments++
		se.st.stats.Bytes += stored.Bytes
	})
	f.committed = true
	if err := se.strike(AfterStored); err != nil {
		return err
	}
	se.current = next
	if se.info.RetentionHours > 0 {
		persisted := f.ack(EventPersisted)
		if d := se.service.faults.persistedDelay(se.st.name); d > 0 {
			persisted.due = time.Now().Add(d)
		}
		se.send(persisted)
	}
	return nil
}

func (se *session) send(a ack) {
	if !se.service.faults.dropped(se.st.name, a.event) {
		se.acks.push(a)
	}
}

// strike carries out a fault that is set for this point.
func (se *session) strike(p Point) error {
	timecode := int64(0)
	if se.current != nil {
		timecode = se.current.timecode
	}
	hit := se.service.faults.at(se.st.name, p, timecode)
	if hit == nil {
		return nil
	}
	if hit.fault.action != actHang {
		return injected(hit)
	}
	se.acks.hold(true)
	select {
	case <-hit.cleared:
		se.acks.hold(false)
		return nil
	case <-se.ctx.Done():
		return context.Cause(se.ctx)
	}
}

func injected(hit *Injected) error {
	if hit.fault.action == actError {
		return &failure{id: hit.fault.ack.id, code: hit.fault.ack.code, why: "injected " + hit.fault.at.String(), then: hit.fault.then}
	}
	return fmt.Errorf("%w %s", errReset, hit.fault.at)
}

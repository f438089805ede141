package holdrequest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/hold"
	"github.com/kvs-edge/kvs-edge-agent/internal/holds"
	"github.com/kvs-edge/kvs-edge-agent/internal/mkv"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
)

const by = "the cloud, by kvs-edge/hub-1/hold"

var begin = time.Unix(1_795_233_600, 0).UTC()

// rig is a hub whose store has ten recordings of a second of the stream door, one each ten seconds, and a broker that keeps what the hub
// does not acknowledge, as MQTT has it.
type rig struct {
	t      *testing.T
	dir    string
	most   int64
	store  *segment.Store
	r      *Requests
	health *health.Component
	logs   *observer.ObservedLogs

	session []*message
	outbox  []publication // not at the broker
	said    []answer      // that the broker has
}

// message is one that the broker has.
type message struct {
	payload   string
	delivered bool
}

type publication struct {
	payload []byte
	sent    func()
}

func newRig(t *testing.T) *rig {
	t.Helper()
	s := &rig{t: t, dir: t.TempDir(), most: 1 << 40}
	s.start()
	t.Cleanup(func() { _ = s.store.Close() })
	track := mkv.Track{Number: 1, Kind: mkv.Video, CodecID: mkv.CodecAVC}
	frame := [][]byte{{1}}
	for i := range 10 {
		w, err := s.store.Create("door", mkv.Header{Start: begin.Add(time.Duration(i) * 10 * time.Second), Tracks: []mkv.Track{track}})
		if err != nil {
			t.Fatal(err)
		}
		err = errors.Join(w.BeginFragment(0, true), w.WriteFrame(1, 0, true, frame), w.WriteFrame(1, time.Second, false, frame), w.Flush(),
			w.Seal())
		if err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// start begins as the agent does.
func (s *rig) start() {
	s.t.Helper()
	core, logs := observer.New(zap.InfoLevel)
	log := zap.New(core)
	store, err := segment.Open(segment.Options{Dir: s.dir, HoldMost: func(uint64) int64 { return s.most }, Log: log})
	if err != nil {
		s.t.Fatal(err)
	}
	known := holds.New(holds.Options{Book: store.Holding(), Streams: store.Streams, Changed: func() {}, Now: time.Now, Log: log})
	s.store, s.logs, s.outbox = store, logs, nil
	s.health = health.NewRegistry(time.Now).Component("", health.JobConfig)
	s.r = New(Options{
		By: by, Add: known.ForCloud(func(context.Context) {}), Remove: known.Remove, Known: known.Known, Now: time.Now, Log: log,
		Publish: func(payload []byte, _ string, sent func()) { s.outbox = append(s.outbox, publication{payload, sent}) },
		Health:  s.health,
	})
}

// restart ends the agent with all that it has not sent, and begins again.
func (s *rig) restart() {
	s.t.Helper()
	if err := s.store.Close(); err != nil {
		s.t.Fatal(err)
	}
	s.start()
}

// connect has the broker deliver what was not acknowledged.
func (s *rig) connect() {
	for _, m := range slices.Clone(s.session) {
		repeated := m.delivered
		m.delivered = true
		s.r.receive(s.t.Context(), []byte(m.payload), repeated, func() {
			s.session = slices.DeleteFunc(s.session, func(other *message) bool { return other == m })
		})
	}
}

// send is a message of the cloud, which the hub gets at once.
func (s *rig) send(payload string) {
	m := &message{payload: payload, delivered: true}
	s.session = append(s.session, m)
	s.r.receive(s.t.Context(), []byte(payload), false, func() {
		s.session = slices.DeleteFunc(s.session, func(other *message) bool { return other == m })
	})
}

// answers has the broker get the answers. acknowledged: it gets the acknowledgements of the requests too.
func (s *rig) answers(acknowledged bool) {
	s.t.Helper()
	for _, p := range s.outbox {
		var a answer
		if err := json.Unmarshal(p.payload, &a); err != nil {
			s.t.Fatal(err)
		}
		s.said = append(s.said, a)
		if acknowledged {
			p.sent()
		}
	}
	s.outbox = nil
}

// expect compares what the cloud heard since, by request and status.
func (s *rig) expect(when string, want ...string) {
	s.t.Helper()
	s.answers(true)
	var got []string
	for _, a := range s.said {
		got = append(got, a.RequestID+" "+a.Status)
	}
	if !slices.Equal(got, want) {
		s.t.Errorf("%s the cloud hears %q, want %q: %+v", when, got, want, s.said)
	}
	s.said = nil
	if len(s.session) > 0 {
		s.t.Errorf("%s %d requests are not acknowledged", when, len(s.session))
	}
}

// held compares which holds there are, and what a deletion of everything leaves.
func (s *rig) held(when string, ids ...string) {
	s.t.Helper()
	var got []string
	for _, h := range s.store.Holding().List("") {
		got = append(got, h.ID)
	}
	if !slices.Equal(got, ids) {
		s.t.Errorf("%s the holds are %q, want %q", when, got, ids)
	}
}

// deleteAll deletes what may be deleted, and returns what is left.
func (s *rig) deleteAll() int {
	s.t.Helper()
	for _, x := range s.store.Segments("door", time.Time{}, time.Time{}) {
		if err := s.store.Delete(x.Key); err != nil && !errors.Is(err, hold.ErrHeld) {
			s.t.Fatal(err)
		}
	}
	return len(s.store.Segments("door", time.Time{}, time.Time{}))
}

// adding asks for a hold of seconds of the stream door.
func adding(id, hold string, from, to int, more string) string {
	return fmt.Sprintf(`{"RequestId":%q,"Action":"ADD","HoldId":%q,"StreamName":"door","From":%d,"To":%d,"Reason":"theft"%s}`,
		id, hold, begin.Unix()+int64(from), begin.Unix()+int64(to), more)
}

func removing(id, hold string) string {
	return fmt.Sprintf(`{"RequestId":%q,"Action":"REMOVE","HoldId":%q}`, id, hold)
}

func TestWhatTheCloudHoldsStaysUntilItRemovesTheHold(t *testing.T) {
	t.Parallel()
	s := newRig(t)
	s.send(adding("r1", "case", 20, 45, ""))
	s.answers(true)
	if a := s.said[0]; a.Status != Done || a.Segments != 3 || a.Bytes == 0 || a.HoldID != "case" || a.StreamName != "door" ||
		a.Action != ActionAdd {
		t.Errorf("it is answered with %+v", a)
	}
	s.expect("asked once", "r1 DONE")
	if left := s.deleteAll(); left != 3 {
		t.Errorf("%d recordings are left", left)
	}
	s.restart()
	s.held("after a restart", "case")
	s.send(removing("r2", "case"))
	s.answers(true)
	if a := s.said[0]; a.StreamName != "door" || a.Segments != 0 {
		t.Errorf("the removal is answered with %+v", a)
	}
	s.expect("removed", "r2 DONE")
	if left := s.deleteAll(); left != 0 {
		t.Errorf("%d recordings are left without a hold", left)
	}
	removed := s.logs.FilterField(zap.String("hold", "case")).FilterField(zap.String("askedBy", by+", request r2")).
		FilterField(zap.String("addedBy", by))
	if removed.Len() != 1 {
		t.Errorf("the log does not say who removed it: %+v", s.logs.All())
	}
}

func TestARequestThatCannotBeFulfilledIsAnsweredWithASentence(t *testing.T) {
	t.Parallel()
	past := fmt.Sprintf(`,"Until":%d`, time.Now().Add(-time.Minute).Unix())
	for name, row := range map[string]struct {
		payload string
		says    []string
	}{
		"an unknown stream": {strings.Replace(adding("r", "new", 20, 45, ""), `"door"`, `"yard"`, 1),
			[]string{"There is no stream yard, neither configured nor recorded; there are: door."}},
		"other values":     {adding("r", "old", 20, 46, ""), []string{"There is another hold with the ID old, of stream door"}},
		"another end":      {adding("r", "old", 20, 45, `,"Until":7000000000`), []string{"There is another hold with the ID old"}},
		"an end passed by": {adding("r", "new", 20, 45, past), []string{"would have ended already"}},
		"an odd ID":        {adding("r", "a b", 20, 45, ""), []string{"The ID of a hold has 1 to 64 letters, digits"}},
		"a blank reason":   {strings.Replace(adding("r", "new", 20, 45, ""), "theft", `\n `, 1), []string{"needs a reason"}},
		"too large": {adding("r", "new", 50, 100, ""),
			[]string{"does not fit: it needs ", " more, ", " are held already, and all holds together may have ", "AWS_KVS_EDGE_HOLD_MAX"}},
		"no such hold": {removing("r", "none"), []string{"There is no hold with the ID none"}},
		"not readable": {`{"RequestId":"r"}`, []string{"Action must be ADD or REMOVE"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newRig(t)
			s.send(adding("first", "old", 20, 45, ""))
			s.expect("at first", "first DONE")
			if s.most = 1 << 40; name == "too large" {
				s.most = 1000
			}
			s.send(row.payload)
			s.answers(true)
			for _, part := range row.says {
				if !strings.Contains(s.said[0].Details, part) {
					t.Errorf("it is answered with %+v, want %q", s.said[0], part)
				}
			}
			s.expect("refused", "r FAILED")
			s.held("refused", "old")
		})
	}
}

func TestTheSameRequestAgainIsTheSameHold(t *testing.T) {
	t.Parallel()
	s := newRig(t)
	s.send(adding("r1", "case", 20, 45, ""))
	s.send(adding("r1", "case", 20, 45, ""))
	s.expect("asked twice", "r1 DONE", "r1 DONE")
	s.send(adding("other", "case", 20, 45, "")) // somebody else wants the same
	s.expect("asked by another", "other DONE")
	s.held("asked three times", "case")
	s.send(removing("r2", "case"))
	s.send(removing("r2", "case"))
	s.send(removing("r3", "case"))
	s.expect("removed", "r2 DONE", "r2 DONE", "r3 FAILED")
	s.send(adding("r1", "case", 20, 45, ""))
	s.expect("asked after that", "r1 DONE")
	s.held("asked after that", "case")
}

// What the broker sends again was done, whatever came after it.
func TestARequestThatIsDeliveredAgainIsNotDoneAgain(t *testing.T) {
	t.Parallel()
	s := newRig(t)
	s.send(adding("r1", "case", 20, 45, ""))
	s.send(removing("r2", "case"))
	s.answers(false)
	s.connect()
	s.expect("both again", "r1 DONE", "r2 DONE", "r1 DONE", "r2 DONE")
	s.held("added, removed, and both again")

	s.send(adding("r3", "case", 20, 45, ""))
	s.expect("added", "r3 DONE")
	s.send(removing("r4", "case"))
	s.send(adding("r5", "case", 20, 55, ""))
	s.answers(false) // the connection breaks before the acknowledgements
	s.connect()
	s.expect("both again", "r4 DONE", "r5 DONE", "r4 DONE", "r5 DONE")
	s.held("removed, added, and both again", "case")
	if n := s.logs.FilterMessageSnippet("hold removed").Len(); n != 2 {
		t.Errorf("holds were removed %d times", n)
	}

	s.most = 1
	s.send(adding("r6", "large", 60, 100, ""))
	s.answers(false)
	s.most = 1 << 40
	s.connect()
	s.expect("refused, and again with room", "r6 FAILED", "r6 FAILED")
	s.held("what was said to be refused stays so", "case")
	s.send(adding("r6", "large", 60, 100, ""))
	s.expect("asked again by the cloud", "r6 DONE")
}

// The agent ends between the hold and its answer: the broker has the request still.
func TestNoAnswerIsLostWhenTheAgentEnds(t *testing.T) {
	t.Parallel()
	s := newRig(t)
	s.send(adding("r1", "case", 20, 45, ""))
	s.restart()
	s.held("on the disk before the answer", "case")
	s.connect()
	s.expect("after a restart", "r1 DONE")
	s.held("after a restart", "case")

	s.send(removing("r2", "case"))
	s.restart()
	s.connect()
	s.answers(true)
	if s.said[0].Details != goneBefore {
		t.Errorf("it is answered with %+v", s.said[0])
	}
	s.expect("after a restart", "r2 DONE")
	s.held("after a restart")

	// A request that was never delivered is followed as any other.
	s.session = append(s.session, &message{payload: adding("r3", "later", 0, 10, "")}, &message{payload: removing("r4", "none")})
	s.connect()
	s.expect("after an outage", "r3 DONE", "r4 FAILED")
}

func TestAMessageThatNobodyCanBeAnsweredForIsShown(t *testing.T) {
	t.Parallel()
	s := newRig(t)
	for range maxRemembered + 10 {
		s.send("hold it, please")
	}
	s.answers(true)
	if conditions := s.health.Snapshot().Conditions; len(conditions) != 1 ||
		!strings.Contains(conditions[0].Text, "The request is not a JSON object") {
		t.Errorf("%+v", conditions)
	}
	if len(s.session) > 0 || len(s.r.handled) != maxRemembered {
		t.Errorf("%d requests are not acknowledged, %d are remembered", len(s.session), len(s.r.handled))
	}
	s.said = nil
	s.send(removing("r", "none"))
	s.expect("after that", "r FAILED")
	if conditions := s.health.Snapshot().Conditions; len(conditions) != 0 {
		t.Errorf("%+v", conditions)
	}
}

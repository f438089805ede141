package main

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesisvideo/types"
)

// holdAnswer is a message of hold/status, as docs/mqtt.md describes it.
type holdAnswer struct {
	RequestId, Action, HoldId, StreamName, Status, Details string
	Segments                                               int
	Bytes                                                  int64
}

// holdAsker is an asker that hears what is said of holds.
type holdAsker struct {
	*asker
	answers chan holdAnswer
}

func newHoldAsker(a *asker) *holdAsker {
	h := &holdAsker{asker: a, answers: make(chan holdAnswer, 1000)}
	hear(a, "hold/status", func(m holdAnswer) { h.answers <- m })
	return h
}

// answer waits for the answer to a request.
func (h *holdAsker) answer(id string) (got holdAnswer) {
	h.t.Helper()
	for timeout := time.After(patience); ; {
		select {
		case got = <-h.answers:
			if got.RequestId == id {
				return got
			}
		case <-timeout:
			h.t.Fatalf("request %s about a hold is not answered", id)
		}
	}
}

func TestTheCloudHoldsRecordingsAndTheAgentIsKilledMeanwhile(t *testing.T) {
	inWorlds(t, theCloudHoldsRecordingsAndTheAgentIsKilledMeanwhile)
}

// Three recordings are uploaded, after which their stream deletes them: the one that the cloud holds stays until the cloud removes the
// hold.
func theCloudHoldsRecordingsAndTheAgentIsKilledMeanwhile(t *testing.T, w world) {
	const fragments = 3 * backlogSegment
	s := newDemandSite(t, w, fragments, func(c *types.EdgeConfig) {
		c.DeletionConfig = &types.DeletionConfig{DeleteAfterUpload: aws.Bool(true)}
	})
	asker := newHoldAsker(s.asker)
	s.start()
	add := func(id, hold string, from, to int) string {
		return fmt.Sprintf(`{"RequestId":%q,"Action":"ADD","HoldId":%q,"StreamName":"door","From":%.3f,"To":%.3f,"Reason":"theft, case 7"}`,
			id, hold, float64(s.want[from])/1000, float64(s.want[to])/1000)
	}
	for _, row := range []struct{ id, payload, says string }{
		{"", `hold everything`, "not a JSON object"},
		{"a", strings.Replace(add("a", "x", 1, 2), `"door"`, `"yard"`, 1), "There is no stream yard, neither configured nor recorded"},
		{"b", add("b", "x", 2, 1), "To must be after From"},
		{"c", `{"RequestId":"c","Action":"REMOVE","HoldId":"x"}`, "There is no hold with the ID x"},
	} {
		asker.tell("hold", row.payload)
		if got := asker.answer(row.id); got.Status != "FAILED" || !strings.Contains(got.Details, row.says) {
			t.Errorf("%s is answered with %+v, want %q", row.payload, got, row.says)
		}
	}
	path, sum := s.segmentAt(backlogSegment)
	asker.tell("hold", add("add", "case-7", backlogSegment+2, backlogSegment+5))
	s.agent.kill() // before its answer, or after it
	s.asker.await(s.asker.online, "offline")
	s.start()
	if got := asker.answer("add"); got.Status != "DONE" || got.Segments != 1 || got.Bytes == 0 || got.HoldId != "case-7" ||
		got.Action != "ADD" {
		t.Fatalf("the hold is answered with %+v", got)
	}
	list, _, _ := s.command("hold", "list")
	if !strings.Contains(list, "the cloud, by kvs-edge/"+testThing+"/hold") || !strings.Contains(list, "theft, case 7") {
		t.Errorf("the holds are listed as\n%s", list)
	}
	asker.ask(fmt.Sprintf(`{"RequestId":"all","StreamName":"door","From":%.3f,"To":%d}`, float64(s.want[0])/1000, time.Now().Unix()+60))
	s.awaitFragments("door", s.want)
	s.awaitFiles(1)
	if _, again := s.segmentAt(0); again != sum {
		t.Errorf("what is left is not what %s was", path)
	}

	asker.tell("hold", `{"RequestId":"remove","Action":"REMOVE","HoldId":"case-7"}`)
	if got := asker.answer("remove"); got.Status != "DONE" || got.StreamName != "door" && got.Details == "" {
		t.Errorf("the removal is answered with %+v", got)
	}
	s.awaitFiles(0)
	s.stopAgent()
	log, err := os.ReadFile(filepath.Join(s.dir, "agent.out"))
	if err != nil || !strings.Contains(string(log), "the cloud, by kvs-edge/"+testThing+"/hold, request remove") {
		t.Errorf("the log does not say who removed the hold: %v", err)
	}
}

// segmentAt returns the file of the stream door with that fragment of those that are left, and the checksum of its content.
func (s *demandSite) segmentAt(fragment int) (path string, sum [sha256.Size]byte) {
	s.t.Helper()
	names, err := filepath.Glob(filepath.Join(s.recordings(), "door", "*.mkv"))
	if err != nil || len(names) <= fragment/backlogSegment {
		s.t.Fatalf("%v %v", names, err)
	}
	path = names[fragment/backlogSegment] // Glob sorts them
	data, err := os.ReadFile(path)
	if err != nil {
		s.t.Fatal(err)
	}
	return path, sha256.Sum256(data)
}

// awaitFiles waits until so many segments are left.
func (s *demandSite) awaitFiles(n int) {
	s.t.Helper()
	s.eventually(fmt.Sprintf("%d segments", n), func() error {
		if states := s.files("door"); len(states) != n {
			return fmt.Errorf("they are %v", states)
		}
		return nil
	})
}

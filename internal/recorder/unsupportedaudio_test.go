package recorder

import (
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
)

func TestAudioThatIsNotRecordedIsNamed(t *testing.T) {
	t.Parallel()
	part := health.NewRegistry(time.Now).Component("door", health.JobRecorder)
	s := &segmenter{o: &New(Options{Health: part}).o, part: part}
	s.unsupportedAudio([]string{"Opus"})
	if worst, ok := part.Snapshot().Worst(); !ok || worst.Severity != health.Info || worst.Code != codeAudio {
		t.Errorf("%+v", worst)
	}
	s.unsupportedAudio(nil)
	if _, ok := part.Snapshot().Worst(); ok {
		t.Error("the sentence stays")
	}
}

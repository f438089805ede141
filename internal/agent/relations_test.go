package agent

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/desired"
	"github.com/kvs-edge/kvs-edge-agent/internal/event"
	"github.com/kvs-edge/kvs-edge-agent/internal/eventjob"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/settings"
)

// TestAnEventIsOfAllStreamsOfItsCamera, as far as the tags of the main streams say which these are.
func TestAnEventIsOfAllStreamsOfItsCamera(t *testing.T) {
	t.Parallel()
	a := &Agent{health: health.NewRegistry(time.Now), uploadMode: newHubMode(settings.UploadScheduled), log: zap.NewNop()}
	a.current.Store(&settings.Settings{})
	a.streams = &streams{running: make(map[string]*stream)}
	configure := func(name, mainOf string) {
		a.streams.running[name] = &stream{wanted: desired.Stream{Name: name, Upload: desired.Upload{Tags: desired.Tags{MainOf: mainOf}}}}
	}
	configure("door", "door-sub")
	configure("door-sub", "")
	configure("yard", "")
	for i := range event.MaxStreams {
		configure(fmt.Sprint("m", i), fmt.Sprint("s", i))
		configure(fmt.Sprint("s", i), "")
	}
	a.relateAll()
	for _, row := range []struct{ of, want []string }{
		{[]string{"door"}, []string{"door", "door-sub"}},
		{[]string{"door-sub"}, []string{"door-sub", "door"}},
		{[]string{"door-sub", "door"}, []string{"door-sub", "door"}},
		{[]string{"yard"}, []string{"yard"}},
		{[]string{"gone"}, []string{"gone"}},
	} {
		if got := eventjob.WithRelatives(row.of, a.relatives); !slices.Equal(got, row.want) {
			t.Errorf("an event of %v is of %v, want %v", row.of, got, row.want)
		}
	}
	var many []string
	for i := range event.MaxStreams {
		many = append(many, fmt.Sprint("m", i))
	}
	if got := eventjob.WithRelatives(many, a.relatives); !slices.Equal(got, many) {
		t.Errorf("an event of as many streams as it may have is of %v", got)
	}
	configure("door", "")
	a.relate()
	if got := a.relatives("door-sub"); got != nil {
		t.Errorf("without the tag the streams are related: %v", got)
	}
}

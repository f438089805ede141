package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/atomicfile"
	"github.com/kvs-edge/kvs-edge-agent/internal/humanize"
	"github.com/kvs-edge/kvs-edge-agent/internal/localapi"
	"github.com/kvs-edge/kvs-edge-agent/internal/settings"
	"github.com/kvs-edge/kvs-edge-agent/internal/statefile"
	counts "github.com/kvs-edge/kvs-edge-agent/internal/tally"
	"github.com/kvs-edge/kvs-edge-agent/internal/tier"
	"github.com/kvs-edge/kvs-edge-agent/internal/usage"
)

// usage asks the agent that has the recordings or, where none runs, reads them.
func (f *costFlags) usage(ctx context.Context, span localapi.Span) ([]usage.Stream, error) {
	f.uploads = f.uploadsOf
	var r recordings
	names, err := f.served(ctx, &r)
	if err != nil {
		return nil, err
	}
	defer r.close()
	list, err := r.Usage(ctx, span)
	if errors.Is(err, localapi.ErrOlder) {
		return nil, errors.New("the running agent is of an earlier version, which does not count uploads: restart it")
	}
	if err != nil && f.stream != "" && !slices.Contains(names, f.stream) {
		return nil, fmt.Errorf("there are no recordings of stream %s in %s; there are those of: %s", f.stream, r.dir, humanize.List(names))
	}
	return list, err
}

// uploadsOf reads what the agent that records to a directory has counted, when that is the service's.
func (f *costFlags) uploadsOf(dir string) localapi.Uploads {
	var service storeFlags
	if recorded, err := service.directory(serviceSettings); err != nil || !sameDirectory(dir, recorded) {
		fmt.Fprintf(f.problems(), "note: %s is not the directory that the service records to, so only what is on the disk counts; --socket "+
			"names another agent\n", shownName(dir))
		return localapi.Uploads{}
	}
	state := statefile.At(settings.StatePath(os.LookupEnv), atomicfile.OS{})
	counted, err := counts.Read(state)
	if err != nil {
		fmt.Fprintf(f.problems(), "note: the count of uploads in %s cannot be read, so only what is on the disk counts\n",
			shownName(state.Path()))
	}
	known := tier.Read(state, zap.NewNop())
	is := func(variable, value string) bool {
		return strings.EqualFold(strings.TrimSpace(os.Getenv(variable)), value)
	}
	plan := usage.Plan{ // without an agent the streams' own tags and schedules are not known
		OnRequest: is(settings.EnvCloud, "off") || is(settings.EnvUploadMode, string(settings.UploadOnRequest)),
		Live:      is(settings.EnvUploadMode, string(settings.UploadLive)),
		AllAudio:  is(settings.EnvAudio, string(settings.AudioOn)),
	}
	return localapi.Uploads{
		Counted: counted, Plan: func(string) usage.Plan { return plan },
		Storage: func(stream string) (string, *int) { return known[stream].Tier, known[stream].RetentionHours },
	}
}

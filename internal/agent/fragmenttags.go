package agent

import (
	"strings"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/desired"
	"github.com/kvs-edge/kvs-edge-agent/internal/logevent"
	"github.com/kvs-edge/kvs-edge-agent/internal/mkv"
	"github.com/kvs-edge/kvs-edge-agent/internal/secret"
	"github.com/kvs-edge/kvs-edge-agent/internal/uploader"
)

// The names of the fragments' tags. Letters and hyphens only: with images they become names of S3
// object metadata, which are HTTP headers.
const (
	fragmentStream = "kvs-edge-stream"
	fragmentHub    = "kvs-edge-hub"
	fragmentCamera = "kvs-edge-camera"
)

// fragmentTags turns a stream's tags into those of its fragments.
type fragmentTags struct {
	stream, hub string
	off         bool // nothing but what is on request
	log         *zap.Logger
	set         func([]mkv.Tag) error // see uploader.SetTags
}

// apply takes the stream's tags in; zero while they are not known.
func (f *fragmentTags) apply(stream desired.Tags) {
	wanted := f.of(stream)
	fit := wanted[:0]
	for _, t := range wanted {
		if err := uploader.CheckTags([]mkv.Tag{t}); err != nil {
			f.log.Debug("fragment tag left out", zap.Error(err))
			continue
		}
		fit = append(fit, t)
	}
	if err := f.set(fit); err != nil {
		logevent.FragmentTagsRejected.Log(f.log, zap.Error(err))
	}
}

// of lists them. The camera is what its owner calls it in the stream's tag: its address, which may
// hold a password, stays on the hub.
func (f *fragmentTags) of(stream desired.Tags) (list []mkv.Tag) {
	if !f.off {
		list = append(list, mkv.Tag{Name: fragmentStream, Value: f.stream}, mkv.Tag{Name: fragmentHub, Value: f.hub})
		if camera := strings.TrimSpace(stream.Camera); camera != "" {
			list = append(list, mkv.Tag{Name: fragmentCamera, Value: string(secret.Scrub([]byte(camera)))})
		}
	}
	if wanted, prefix := onRequest(stream.Images); wanted {
		list = append(list, mkv.Tag{Name: uploader.TagImageGeneration})
		if prefix != "" {
			list = append(list, mkv.Tag{Name: uploader.TagImagePrefix, Value: prefix})
		}
	}
	if wanted, text := onRequest(stream.Notifications); wanted && text == "" {
		list = append(list, mkv.Tag{Name: uploader.TagNotification})
	}
	return list
}

// onRequest reads a tag that is true, false, or a text that stands for true.
func onRequest(value string) (wanted bool, text string) {
	switch value = strings.TrimSpace(value); strings.ToLower(value) {
	case "", "false", "off", "no":
		return false, ""
	case "true", "on", "yes":
		return true, ""
	default:
		return true, value
	}
}

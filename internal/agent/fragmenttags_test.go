package agent

import (
	"slices"
	"strings"
	"testing"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/desired"
	"github.com/kvs-edge/kvs-edge-agent/internal/mkv"
)

func TestStreamTagsSayWhichTagsFragmentsHave(t *testing.T) {
	t.Parallel()
	ours := []string{"kvs-edge-stream=door", "kvs-edge-hub=hub"}
	images, prefix, notification := "AWS_KINESISVIDEO_IMAGE_GENERATION=", "AWS_KINESISVIDEO_IMAGE_PREFIX=", "AWS_KINESISVIDEO_NOTIFICATION="
	for _, test := range []struct {
		name string
		off  bool
		tags map[string]string
		want []string
	}{
		{"not known", false, nil, ours},
		{"others", false, map[string]string{"a": "b", "kvs-edge:upload": "live"}, ours},
		{"off", true, nil, nil},
		{"camera", false, map[string]string{"kvs-edge:camera": " back yard "}, append(slices.Clone(ours), "kvs-edge-camera=back yard")},
		{"camera, off", true, map[string]string{"kvs-edge:camera": "yard"}, nil},
		{"a password in the camera", false, map[string]string{"kvs-edge:camera": "rtsp://admin:hunter2@10.0.0.7/1"},
			append(slices.Clone(ours), "kvs-edge-camera=rtsp://[redacted]@10.0.0.7/1")},
		{"a camera's name of 300 bytes", false, map[string]string{"kvs-edge:camera": strings.Repeat("ü", 150)}, ours},
		{"images", false, map[string]string{"kvs-edge:image-generation": "True"}, append(slices.Clone(ours), images)},
		{"images with a prefix", true, map[string]string{"kvs-edge:image-generation": "yard/1"}, []string{images, prefix + "yard/1"}},
		{"images with a long prefix", true, map[string]string{"kvs-edge:image-generation": strings.Repeat("p", 257)}, []string{images}},
		{"no images", true, map[string]string{"kvs-edge:image-generation": "false", "kvs-edge:notification": " OFF "}, nil},
		{"notification", true, map[string]string{"kvs-edge:notification": "true"}, []string{notification}},
		{"notification in other words", true, map[string]string{"kvs-edge:notification": "perhaps"}, nil},
		{"everything", false, map[string]string{"kvs-edge:camera": "yard", "kvs-edge:image-generation": "p", "kvs-edge:notification": "true"},
			append(slices.Clone(ours), "kvs-edge-camera=yard", images, prefix+"p", notification)},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var got []string
			f := fragmentTags{stream: "door", hub: "hub", off: test.off, log: zap.NewNop(), set: func(tags []mkv.Tag) error {
				for _, tag := range tags {
					got = append(got, tag.Name+"="+tag.Value)
				}
				return nil
			}}
			f.apply(desired.TagsOf(test.tags))
			if !slices.Equal(got, test.want) {
				t.Errorf("fragments have %q, want %q", got, test.want)
			}
		})
	}
}

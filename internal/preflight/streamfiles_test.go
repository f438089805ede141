package preflight

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kvs-edge/kvs-edge-agent/internal/fakecam"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud"
	"github.com/kvs-edge/kvs-edge-agent/internal/settings"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools"
)

// countedCalls fails a test when the cloud is called.
type countedCalls struct{ t *testing.T }

// Write implements io.Writer.
func (c countedCalls) Write(line []byte) (int, error) {
	c.t.Errorf("the cloud is called: %s", line)
	return len(line), nil
}

func (h *rig) streamFile(name, text string) {
	h.t.Helper()
	dir := filepath.Join(h.Dir, "streams.d")
	must(h.t, os.MkdirAll(dir, 0o750))
	must(h.t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o640))
	must(h.t, os.Chmod(filepath.Join(dir, name), 0o640))
	h.Env[settings.EnvStreamsDirectory] = dir
}

func (h *rig) doorFile() {
	h.t.Helper()
	h.streamFile("door.json", `{"StreamName":"door","EdgeConfig":{"RecorderConfig":{"MediaSourceConfig":{"MediaURI":"`+
		h.Camera(fakecam.Options{User: "admin", Pass: "hunter2"}).URL()+`"}}}}`)
}

// TestACheckOfAHubThatFollowsItsFiles is content without the rights and the messages that such a hub needs not.
func TestACheckOfAHubThatFollowsItsFiles(t *testing.T) {
	h := newRig(t)
	for _, operation := range []string{"ListEdgeAgentConfigurations", "ListTagsForStream"} {
		h.Cloud.Faults().RefuseOperation(operation, 403, "AccessDeniedException")
	}
	h.Env[settings.EnvDataEndpoint] = testtools.HeldAddress(t, ownHost)
	_, err := h.Cloud.CreateStream("door", 24)
	must(t, err)
	h.doorFile()
	all, ok := h.check()
	for _, want := range []string{
		"1 stream file in ", "The hub follows its stream files alone.", "The stream file holds the URL of the source itself.", "sends H.264",
	} {
		if !ok || !strings.Contains(all.String(), want) {
			t.Errorf("it does not say %q, or is not content:\n%s", want, all)
		}
	}
	h.streamFile("yard.json", `{"StreamName":"yard","EdgeConfig":{"RecorderConfig":{}}}`)
	if all, ok := h.check(); ok || !strings.Contains(all.bad(), "yard.json in ") || !strings.Contains(all.bad(),
		"EdgeConfig.RecorderConfig.MediaSourceConfig is missing") {
		t.Errorf("of a wrong file it says:\n%s", all)
	}
	if strings.Contains(all.String(), "hunter2") {
		t.Error("the password is shown")
	}
}

func TestACheckWithoutTheCloudAsksItNothing(t *testing.T) {
	h := newRig(t, func(o *localcloud.Options) { o.Calls = countedCalls{t} })
	h.Env[settings.EnvCloud] = "off"
	h.doorFile()
	all, ok := h.check()
	for _, want := range []string{"AWS_KVS_EDGE_CLOUD is off: nothing at AWS is asked", "sends H.264"} {
		if !ok || !strings.Contains(all.String(), want) {
			t.Errorf("it does not say %q, or is not content:\n%s", want, all)
		}
	}
	h.Env[settings.EnvStreamsDirectory] = filepath.Join(h.Dir, "none")
	if all, ok := h.check(); ok || !strings.Contains(all.bad(), "cannot be read (no such file or directory)") {
		t.Errorf("of a directory that is not there it says:\n%s", all)
	}
}

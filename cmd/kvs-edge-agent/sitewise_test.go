package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/fakecam"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/sitewise"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools"
)

const (
	siteWiseHub = "0b6e7c1e-52d4-4d0c-9f3c-6f1d3f1c2a10"
	frontAsset  = "5d0f8c8e-8b57-4c66-a2b1-0d6a5e9b7c21"
	backAsset   = "5d0f8c8e-8b57-4c66-a2b1-0d6a5e9b7c22"
	yardAsset   = "5d0f8c8e-8b57-4c66-a2b1-0d6a5e9b7c23"
	readWithin  = 70 * time.Second // a change is in force
)

// sitewise runs the AWS CLI with AWS IoT SiteWise as the owner of the account, and returns what it prints.
func (s *site) sitewise(args ...string) string {
	s.t.Helper()
	return s.aws("iotsitewise", append([]string{"--output", "text"}, args...)...)
}

// aws runs Debian's AWS CLI as the owner of the account, and returns what it prints.
func (s *site) aws(service string, args ...string) string {
	s.t.Helper()
	command := exec.CommandContext(s.t.Context(), "/bin/sh", append([]string{"-c", testtools.AWSCLI, "aws", service}, args...)...)
	command.Env = []string{"PATH=/usr/bin:/bin", "HOME=" + s.dir}
	for _, v := range s.cloud.UserEnv() {
		command.Env = append(command.Env, v.String())
	}
	out, err := command.CombinedOutput()
	if err != nil {
		s.t.Fatalf("aws %s %s: %v\n%s", service, strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

// put writes a value of a property, given as the member of a variant.
func (s *site) put(asset, property, member string, value any) {
	s.t.Helper()
	id := s.sitewise("describe-asset", "--asset-id", asset, "--query", "assetProperties[?name=='"+property+"'].id")
	entries, err := json.Marshal([]map[string]any{{"entryId": "1", "assetId": asset, "propertyId": id, "propertyValues": []map[string]any{
		{"value": map[string]any{member: value}, "timestamp": map[string]any{"timeInSeconds": time.Now().Unix()}}}}})
	if err != nil {
		s.t.Fatal(err)
	}
	if failed := s.sitewise("batch-put-asset-property-value", "--entries", string(entries), "--query", "length(errorEntries)"); failed != "0" {
		s.t.Fatalf("%s of %s is not written", property, asset)
	}
}

// siteWiseWorld is a site whose hub is in SiteWise.
type siteWiseWorld struct {
	*site
	front, back *fakecam.Camera // back is that of yard too
}

// siteWiseSite has a hub in SiteWise with the cameras front, back and yard, whose streams do not exist yet.
func siteWiseSite(t *testing.T) *siteWiseWorld {
	t.Helper()
	testtools.Need(t, "aws")
	s := newSiteOf(t, ourContract, func(o *localcloud.Options) {
		o.Allow = append(o.Allow, "kinesisvideo:CreateStream")
		o.Seed = &localcloud.Seed{
			Hubs: []localcloud.SeedHub{{Name: "hub-1", ID: siteWiseHub, Workspace: "home", Cameras: []sitewise.SeedCamera{
				{ID: frontAsset, Name: "front", Stream: "front-door", RetentionMinutes: 60, CaptureStart: "* * * * *"},
				{ID: backAsset, Name: "back", Stream: "back-door", RetentionMinutes: 60, CaptureStart: "* * * * *"},
				{ID: yardAsset, Name: "yard", Stream: "yard", RetentionMinutes: 60, CaptureStart: "* * * * *"},
			}}},
		}
	})
	w := &siteWiseWorld{site: s, front: startCamera(t, fakecam.Options{}), back: startCamera(t, fakecam.Options{})}
	for asset, c := range map[string]*fakecam.Camera{frontAsset: w.front, backAsset: w.back, yardAsset: w.back} {
		arn, err := s.cloud.PutSecret("edge-connector-"+asset, fmt.Sprintf(`{"RTSPStreamURL":%q}`, c.URL()))
		if err != nil {
			t.Fatal(err)
		}
		s.put(asset, "RTSPStreamSecretARN", "stringValue", arn)
	}
	return w
}

// associate puts a camera below the hub, or takes it away.
func (s *site) associate(action, asset string) {
	s.t.Helper()
	hierarchy := s.sitewise("describe-asset", "--asset-id", siteWiseHub, "--query", "assetHierarchies[0].id")
	s.sitewise(action+"-assets", "--asset-id", siteWiseHub, "--hierarchy-id", hierarchy, "--child-asset-id", asset)
}

// Row 5: a property changed, a camera added and one removed by the AWS CLI are in force within 70 s, and nothing else is disturbed.
// Rows 7, 15 to 17: streams are created, and requests uploaded.
func TestAHubOfSiteWise(t *testing.T) {
	t.Parallel()
	s := siteWiseSite(t)
	s.associate("disassociate", yardAsset)
	s.startAgent("AWS_KVS_EDGE_SITEWISE_HUB_ASSET=" + siteWiseHub)
	s.awaitRecorded("front-door", 30)
	s.awaitRecorded("back-door", 30)
	st, err := s.stream("front-door")
	if err != nil || st.Wanted.Origin != "sitewise" || st.Wanted.UploadMode != "on-request" || st.Wanted.Sync != "IN_SYNC" ||
		st.Wanted.Record != "always" {
		t.Fatalf("front-door is %+v, %v", st.Wanted, err)
	}
	if got := s.cloud.Media().Fragments("front-door"); len(got) > 0 {
		t.Errorf("%d fragments are uploaded, although nobody asked", len(got))
	}
	s.requests()

	s.associate("associate", yardAsset)
	s.put(backAsset, "LocalDataRetentionPeriodInMinutes", "integerValue", 7)
	s.awaitChange("the change and the new camera", func() error {
		back, err := s.stream("back-door")
		if err != nil {
			return err
		}
		if _, err := s.stream("yard"); err != nil || !strings.Contains(back.Wanted.Keep, "7 m") {
			return fmt.Errorf("yard: %v; back-door keeps %q", err, back.Wanted.Keep)
		}
		return nil
	})
	s.awaitRecorded("yard", 30)
	s.associate("disassociate", backAsset)
	s.awaitChange("the removal", func() error {
		if _, err := s.stream("back-door"); err == nil {
			return fmt.Errorf("back-door still runs")
		}
		return nil
	})
	s.undisturbed("front-door", s.front)
	st, err = s.stream("front-door")
	if err != nil || st.Recorder.FramesLost > 0 {
		t.Errorf("front-door lost %d frames: %v", st.Recorder.FramesLost, err)
	}
	log, err := os.ReadFile(filepath.Join(s.dir, "agent.out"))
	if err != nil {
		t.Fatal(err)
	}
	started := 0
	for line := range strings.Lines(string(log)) {
		if strings.Contains(line, "job started") && strings.Contains(line, "front-door") && strings.Contains(line, `"job": "recorder"`) {
			started++
		}
	}
	if started != 1 {
		t.Errorf("the recording of front-door was started %d times", started)
	}
}

// awaitChange waits until a change is in force that was just made, and judges how long that takes: the promise is for a machine that is not
// busy with other things, so that the time is forgiven for which something here had to wait for a processor.
func (s *site) awaitChange(what string, holds func() error) {
	s.t.Helper()
	changed, busy := time.Now(), testtools.CPUWait(s.t)
	s.eventually(what, holds)
	if took, most := time.Since(changed), readWithin+busy(); took > most {
		s.t.Errorf("%s: in force after %s, want at most %s", what, took, most)
	}
}

// undisturbed fails unless every frame that the camera of a stream sent, by its stamps, is in the recording, once, of one session.
func (s *site) undisturbed(stream string, camera *fakecam.Camera) {
	s.t.Helper()
	unplug(s.t, camera)
	sent := sentBy(camera.Sessions())
	if n := len(camera.Sessions()); n != 1 {
		s.t.Errorf("the camera of %s had %d sessions", stream, n)
	}
	s.eventually("all frames on disk", func() error {
		recorded, err := localFrames(filepath.Join(s.recordings(), stream))
		if missing := sent.missingFrom(recorded); err == nil && missing+recorded.repeated() > 0 {
			err = fmt.Errorf("of %d frames of %s %d are missing and %d came twice", sent.distinct(), stream, missing, recorded.repeated())
		}
		return err
	})
}

// requests asks for a range of front-door and of back-door live, with the values that AWS's player writes.
func (s *site) requests() {
	s.t.Helper()
	s.eventually("something to ask for", func() error {
		st, err := s.stream("front-door")
		if err == nil && st.Recorder.FramesRecorded < 200 {
			err = fmt.Errorf("%d frames", st.Recorder.FramesRecorded)
		}
		return err
	})
	to := time.Now()
	from := to.Add(-4 * time.Second)
	s.put(frontAsset, "VideoUploadRequest", "stringValue", fmt.Sprintf("%d-%d", from.UnixMilli(), to.UnixMilli()))
	s.put(backAsset, "VideoUploadRequest", "stringValue", "live")
	s.eventually("the range", func() error {
		list := s.cloud.Media().Fragments("front-door")
		if len(list) < 3 {
			return fmt.Errorf("%d fragments", len(list))
		}
		return nil
	})
	for _, f := range s.cloud.Media().Fragments("front-door") {
		if f.Producer.After(to) || f.Producer.Before(from.Add(-3*time.Second)) {
			s.t.Errorf("a fragment of %s is uploaded, asked for was %s to %s", f.Producer, from, to)
		}
	}
	live := time.Now()
	s.eventually("live", func() error {
		list := s.cloud.Media().Fragments("back-door")
		if len(list) == 0 || list[len(list)-1].Producer.Before(live) {
			return fmt.Errorf("%d fragments", len(list))
		}
		return nil
	})
	for _, f := range s.cloud.Media().Fragments("back-door") {
		if f.Producer.Before(to.Add(-5 * time.Second)) {
			s.t.Errorf("a fragment of %s is uploaded, live was asked for at %s", f.Producer, to)
		}
	}
}

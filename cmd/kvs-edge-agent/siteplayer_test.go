package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/playcheck"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools/awsplayer"
)

// pastFragment is how long the fragments are that past records, as the service takes five of them in a second.
const pastFragment = 15 * time.Second

// past fills the recording directory as if the stream had been recorded from a time on for that long, without any upload. No agent runs.
func (s *site) past(stream string, begin time.Time, d time.Duration) awsplayer.Span {
	s.t.Helper()
	begin = begin.Truncate(time.Second)
	s.recorded(stream, begin, int(d/pastFragment), made{fragment: pastFragment, frames: 30, bytes: 200})
	return awsplayer.Span{Start: begin.UnixMilli(), End: begin.Add(d).UnixMilli()}
}

// onDisk are the times that the files of a stream cover, as ffprobe reads them. It fails for a file that cannot be read, also for one
// that is renamed meanwhile: then another try works.
func (s *site) onDisk(stream string) (list []awsplayer.Span, err error) {
	files, err := filepath.Glob(filepath.Join(s.recordings(), stream, "*.mkv"))
	for _, file := range files {
		spans, err := spansOf(s.t, file)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		list = append(list, spans...)
	}
	return awsplayer.Join(list), err
}

// spansOf are the times of the frames of a file, as ffprobe reads them.
func spansOf(t *testing.T, file string) (list []awsplayer.Span, err error) {
	out, err := exec.CommandContext(t.Context(), "ffprobe", "-v", "error", "-select_streams", "v:0", "-of", "json",
		"-show_entries", "packet=pts_time:format_tags=creation_time", file).Output()
	if err != nil {
		return nil, err
	}
	var read struct {
		Packets []struct {
			Time string `json:"pts_time"`
		}
		Format struct {
			Tags struct {
				Created time.Time `json:"creation_time"` // the date of the file's header: when its times begin
			}
		}
	}
	if err := json.Unmarshal(out, &read); err != nil || read.Format.Tags.Created.IsZero() {
		return nil, fmt.Errorf("ffprobe says %s: %w", out, err)
	}
	for _, p := range read.Packets {
		at, err := strconv.ParseFloat(p.Time, 64)
		if err != nil {
			return nil, err
		}
		start := read.Format.Tags.Created.UnixMilli() + int64(at*1000)
		list = append(list, awsplayer.Span{Start: start, End: start + 40})
	}
	if len(list) == 0 && !strings.HasSuffix(file, ".writing.mkv") {
		return nil, errors.New("it has no frame")
	}
	return list, nil
}

// inCloud are the times that the fragments of a stream cover, as ListFragments answers Debian's AWS CLI.
func (s *site) inCloud(stream string) []awsplayer.Span {
	s.t.Helper()
	var answer struct {
		Fragments []struct {
			FragmentLengthInMilliseconds int64 // from the first frame to the last
			ProducerTimestamp            time.Time
		}
	}
	if err := json.Unmarshal([]byte(s.aws("kinesis-video-archived-media", "--output", "json", "list-fragments", "--stream-name", stream)),
		&answer); err != nil {
		s.t.Fatal(err)
	}
	var list []awsplayer.Span
	for _, f := range answer.Fragments {
		at := f.ProducerTimestamp.UnixMilli()
		list = append(list, awsplayer.Span{Start: at, End: at + f.FragmentLengthInMilliseconds})
	}
	return awsplayer.Join(list)
}

// userEnv is the environment of a program that acts as the owner of the account.
func (s *site) userEnv() []string {
	env := []string{"PATH=" + os.Getenv("PATH"), "HOME=" + s.dir, "NO_PROXY=127.0.0.1"}
	for _, v := range s.cloud.UserEnv() {
		env = append(env, v.String())
	}
	return env
}

// truth is what front-door has in the cloud and on the disk.
func (s *site) truth() (cloud, disk []awsplayer.Span, err error) {
	s.t.Helper()
	cloud = s.inCloud("front-door")
	disk, err = s.onDisk("front-door")
	return cloud, disk, err
}

// awaitPlayer waits until AWS's player finds of front-door, from a time until now, the uploads and the media on the hub that truth
// returns.
func (s *site) awaitPlayer(when string, begin time.Time, truth func() (cloud, disk []awsplayer.Span, err error)) {
	s.t.Helper()
	s.awaitPlayerOf(when, begin, time.Now().Add(10*time.Minute), truth)
}

// awaitPlayerOf is awaitPlayer for a view of at most 24 hours, the most that the service plays in a session.
func (s *site) awaitPlayerOf(when string, begin, end time.Time, truth func() (cloud, disk []awsplayer.Span, err error)) {
	s.t.Helper()
	var found awsplayer.Found
	var cloud, disk []awsplayer.Span
	s.eventually(when, func() (err error) {
		found = awsplayer.Ask(s.t, repository, s.userEnv(), "home", frontAsset, begin, end)
		if cloud, disk, err = truth(); err != nil {
			return err
		}
		if got := awsplayer.Join(found.Uploaded); !awsplayer.Same(got, cloud) {
			return fmt.Errorf("AWS's player finds the uploads %v, the cloud has %v", got, cloud)
		}
		if got := awsplayer.Join(found.Edge); !awsplayer.Same(got, disk) {
			return fmt.Errorf("AWS's player finds on the hub %v, the disk has %v", got, disk)
		}
		return nil
	})
	if n := len(found.Uploaded); n > 24 {
		s.t.Errorf("%s: the player needs %d sessions", when, n)
	}
	s.t.Logf("%s: %d stretches in the cloud in %d rows, %d on the disk in %d", when, len(cloud), len(found.Uploaded), len(disk),
		len(found.Edge))
}

// awaitFrames waits until a stream has n more frames in its recording than it has now.
func (s *site) awaitFrames(stream string, n int64) {
	s.t.Helper()
	s.eventually("stream "+stream, func() error { _, err := s.stream(stream); return err }) // it may just have been read
	st, err := s.stream(stream)
	if err != nil {
		s.t.Fatal(err)
	}
	s.awaitRecorded(stream, st.Recorder.FramesRecorded+n)
}

// ask asks for what was recorded of a stream in a time, as AWS's player does.
func (s *site) ask(asset string, from, to time.Time) (request string) {
	s.t.Helper()
	request = fmt.Sprintf("%d-%d", from.UnixMilli(), to.UnixMilli())
	s.put(asset, "VideoUploadRequest", "stringValue", request)
	return request
}

// awaitAnswer waits until a request is answered, and returns its answer.
func (s *site) awaitAnswer(request string) (status, details string) {
	s.t.Helper()
	s.inTheEnd("the answer to "+request, func() (left int, err error) {
		const unknown = 1 << 30
		for _, r := range s.status().SiteWise.Requests {
			switch {
			case r.Request != request:
			case r.Status != "RUNNING":
				status, details = r.Status, r.Details
				return 0, nil
			case r.FragmentsTotal > 0:
				return r.FragmentsTotal - r.FragmentsDone, fmt.Errorf("%d of %d fragments are uploaded", r.FragmentsDone, r.FragmentsTotal)
			}
		}
		return unknown, errors.New("it has not begun")
	})
	return status, details
}

// siteWiseOutage has all calls of AWS IoT SiteWise fail that a hub makes; "" ends it.
func (s *site) siteWiseOutage(name string) {
	for _, operation := range []string{"DescribeAsset", "DescribeAssetModel", "ListAssociatedAssets", "GetAssetPropertyValue",
		"GetAssetPropertyValueHistory", "BatchGetAssetPropertyValue", "BatchPutAssetPropertyValue"} {
		s.cloud.Faults().RefuseOperation(operation, http.StatusServiceUnavailable, name)
	}
}

// TestAWSsPlayerFindsWhatTheAgentHas: what AWS's own player finds of a camera is what ListFragments and ffprobe find in the cloud and
// on the disk, whatever happens to camera, SiteWise and agent. The hour is accelerated: its files have the times of the past, and all
// that the agent does with them is real.
func TestAWSsPlayerFindsWhatTheAgentHas(t *testing.T) {
	t.Parallel()
	testtools.Need(t, "ffprobe")
	awsplayer.Need(t, repository)
	hour := testtools.Proof(t, "player", testtools.Sizes[time.Duration]{
		Short: 0, Middle: time.Hour, Long: 22 * time.Hour, // a session plays 24 hours at most
	})
	if hour == 0 {
		t.Skip("it takes minutes, and is done by make test-player and in the middle size of the proofs")
	}
	s := siteWiseSite(t)
	s.excused[playcheck.Constant] = "what has the times of the past is of another camera"
	s.put(frontAsset, "LocalDataRetentionPeriodInMinutes", "integerValue", 48*60)
	begin := time.Now().Add(-hour - 40*time.Minute)
	first := s.past("front-door", begin, hour)
	s.past("front-door", time.Now().Add(-5*time.Minute), time.Minute)
	begin = begin.Add(-time.Minute) // of the view

	s.startAgent(siteWiseEnv)
	s.awaitFrames("front-door", 100)
	unplug(t, s.front) // a gap
	request := s.ask(frontAsset, time.UnixMilli(first.Start), time.UnixMilli(first.End))
	if status, details := s.awaitAnswer(request); status != "DONE" || details != "" {
		t.Errorf("the request for the hour is %s: %s", status, details)
	}
	if got := s.inCloud("front-door"); !awsplayer.Same(got, []awsplayer.Span{first}) {
		t.Errorf("in the cloud is %v, asked for was %v", got, first)
	}
	s.agent.kill()
	s.startAgent(siteWiseEnv) // which writes at once what is on the disk
	s.awaitPlayer("after an hour, a gap and a request", begin, s.truth)

	if err := plug(s.front); err != nil {
		t.Fatal(err)
	}
	s.awaitFrames("front-door", 30)
	asked := time.Now()
	s.ask(frontAsset, asked.Add(-2*time.Second), asked.Add(time.Hour)) // it is followed while SiteWise is away
	s.eventually("the second request", func() error { return s.cloudReaches(asked.Add(-2 * time.Second)) })
	s.siteWiseOutage("ServiceUnavailableException")
	s.awaitFrames("front-door", 60)
	s.agent.kill()
	killed := time.Now()
	s.startAgent(siteWiseEnv) // offline, as far as SiteWise goes
	s.awaitFrames("front-door", 60)
	s.eventually("an upload in the outage", func() error { return s.cloudReaches(killed) })
	s.eventually("the sentence about the outage", func() error {
		if said := fmt.Sprint(s.status().Agent); !strings.Contains(said, "AWS IoT SiteWise") {
			return fmt.Errorf("it says %s", said)
		}
		return nil
	})
	unplug(t, s.front)
	s.agent.kill()
	s.siteWiseOutage("")
	s.startAgent(siteWiseEnv)
	s.awaitPlayer("after an outage of SiteWise and kill -9", begin, s.truth)
	s.playerAfterADeletion(begin)
}

// cloudReaches reports whether the cloud has no media of front-door that was recorded after a time.
func (s *site) cloudReaches(at time.Time) error {
	have := s.inCloud("front-door")
	if n := len(have); n == 0 || have[n-1].End <= at.UnixMilli() {
		return fmt.Errorf("in the cloud is %v, and not yet what is after %d", have, at.UnixMilli())
	}
	return nil
}

// playerAfterADeletion has retention delete the first stretch of front-door, and nothing else.
func (s *site) playerAfterADeletion(begin time.Time) {
	s.t.Helper()
	had, err := s.onDisk("front-door")
	if err != nil || len(had) < 3 {
		s.t.Fatalf("on the disk is %v, %v", had, err)
	}
	s.put(frontAsset, "LocalDataRetentionPeriodInMinutes", "integerValue", 30)
	s.eventually("the deletion", func() error {
		have, err := s.onDisk("front-door")
		if err == nil && !awsplayer.Same(have, had[1:]) {
			err = fmt.Errorf("on the disk is %v, before was %v", have, had)
		}
		return err
	})
	s.agent.kill()
	s.startAgent(siteWiseEnv)
	s.awaitPlayer("after a deletion by retention", begin, s.truth)
}

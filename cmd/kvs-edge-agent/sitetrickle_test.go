package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/backoff"
	"github.com/kvs-edge/kvs-edge-agent/internal/sitewise/trickle"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools/awsplayer"
)

// rowsOf are the points of a property of a camera, as Debian's AWS CLI reads them, without those that are empty.
func (s *site) rowsOf(asset, property string) (list []awsplayer.Span) {
	s.t.Helper()
	id := s.sitewise("describe-asset", "--asset-id", asset, "--query", "assetProperties[?name=='"+property+"'].id")
	var answer struct {
		Values []struct {
			Value     struct{ DoubleValue float64 }
			Timestamp struct{ TimeInSeconds int64 }
		} `json:"assetPropertyValueHistory"`
	}
	if err := json.Unmarshal([]byte(s.aws("iotsitewise", "--output", "json", "get-asset-property-value-history", "--asset-id", asset,
		"--property-id", id)), &answer); err != nil {
		s.t.Fatal(err)
	}
	for _, v := range answer.Values {
		row := awsplayer.Span{Start: v.Timestamp.TimeInSeconds * 1000, End: int64(v.Value.DoubleValue*1000 + 0.5)}
		if row.End > row.Start {
			list = append(list, row)
		}
	}
	return list
}

// livePicture is what a live session of a stream shows first, decoded by ffmpeg, as the hash of its pixels.
func (s *site) livePicture(stream string) (hash string, err error) {
	s.t.Helper()
	ask := exec.CommandContext(s.t.Context(), "/bin/sh", "-c", testtools.AWSCLI, "aws", "kinesis-video-archived-media", "--output", "text",
		"get-hls-streaming-session-url", "--stream-name", stream, "--playback-mode", "LIVE", "--query", "HLSStreamingSessionURL")
	ask.Env = s.userEnv()
	url, err := ask.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("no live session: %s", bytes.TrimSpace(url))
	}
	return framesOf(s.t, s.userEnv(), strings.TrimSpace(string(url)), "-frames:v", "1")
}

// framesOf are the hashes of the decoded frames of what ffmpeg opens, a line each.
func framesOf(t *testing.T, env []string, from string, more ...string) (string, error) {
	args := []string{"-v", "error", "-analyzeduration", "100000"} // a live session has no more for a minute
	for _, v := range env {
		if file, ok := strings.CutPrefix(v, "AWS_CA_BUNDLE="); ok && strings.HasPrefix(from, "https:") {
			args = append(args, "-ca_file", file)
		}
	}
	args = append(append(args, "-i", from, "-map", "0:v:0"), more...)
	out, err := exec.CommandContext(t.Context(), "ffmpeg", append(args, "-f", "framehash", "-hash", "sha256", "-")...).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("ffmpeg: %w: %s", err, out)
	}
	var hashes []string
	for line := range strings.Lines(string(out)) {
		if at := strings.LastIndexByte(line, ','); at >= 0 && !strings.HasPrefix(line, "#") {
			hashes = append(hashes, strings.TrimSpace(line[at+1:]))
		}
	}
	return strings.Join(hashes, "\n"), nil
}

// marks counts the fragments that the agent noted before it sent them although nobody had asked.
func (s *site) marks() int {
	data, _ := os.ReadFile(filepath.Join(s.dir, "state", trickle.File)) // none yet
	return bytes.Count(data, []byte("\n"))
}

// TestThePictureForPlayers: of a camera that nobody asks for, a fragment a minute is in the cloud, so that a live session shows it; no row
// says so, also not after a kill while one is sent. A request that covers one makes a row without a gap, and does not send it again.
func TestThePictureForPlayers(t *testing.T) {
	t.Parallel()
	testtools.Need(t, "ffmpeg")
	s := siteWiseSite(t)
	s.associate("disassociate", yardAsset)
	const on = "AWS_KVS_EDGE_SITEWISE_TRICKLE=on"
	s.startAgent(siteWiseEnv, on)
	deadline := time.Now().Add(patience)
	for s.marks() == 0 { // it is killed as soon as one is marked
		if backoff.Sleep(t.Context(), time.Millisecond) != nil || time.Now().After(deadline) {
			t.Fatal("no fragment is marked")
		}
	}
	s.agent.kill()
	first := len(s.cloud.Media().Fragments("front-door"))
	s.startAgent(siteWiseEnv, on)
	s.awaitFrames("front-door", 60)
	again := time.Now()

	var picture string
	s.eventually("a picture", func() (err error) {
		if n := len(s.cloud.Media().Fragments("front-door")); n <= first {
			return fmt.Errorf("%d fragments are in the cloud", n)
		}
		picture, err = s.livePicture("front-door")
		return err
	})
	list := s.cloud.Media().Fragments("front-door")
	if len(list) != first+1 {
		t.Fatalf("%d fragments are in the cloud", len(list))
	}
	s.isRecorded("front-door", list[first].Producer, picture)
	s.awaitFrames("front-door", 75)
	if rows := s.rowsOf(frontAsset, "VideoUploadedTimeRange"); len(rows) > 0 {
		t.Errorf("SiteWise has the rows %v", rows)
	}

	until := time.Now()
	request := s.ask(frontAsset, again, until)
	if status, details := s.awaitAnswer(request); status != "DONE" || details != "" {
		t.Errorf("the request is %s: %s", status, details)
	}
	s.eventually("the row", func() error {
		rows := s.rowsOf(frontAsset, "VideoUploadedTimeRange")
		if len(rows) != 1 || rows[0].Start > again.UnixMilli() || rows[0].End < until.Add(-2*time.Second).UnixMilli() {
			return fmt.Errorf("SiteWise has the rows %v, asked for was %d to %d", rows, again.UnixMilli(), until.UnixMilli())
		}
		return nil
	})
	seen := map[time.Time]bool{}
	for _, f := range s.cloud.Media().Fragments("front-door") {
		if seen[f.Producer] {
			t.Errorf("the fragment of %s came twice", f.Producer)
		}
		seen[f.Producer] = true
	}
}

// isRecorded fails unless a decoded frame is in the segment of a stream that was recorded at that time.
func (s *site) isRecorded(stream string, at time.Time, hash string) {
	s.t.Helper()
	s.eventually("the frame in the recordings", func() error {
		files, err := filepath.Glob(filepath.Join(s.recordings(), stream, "*.mkv"))
		i, _ := slices.BinarySearch(files, filepath.Join(s.recordings(), stream, at.UTC().Format("20060102T150405.000Z~")))
		if err != nil || i == 0 {
			return fmt.Errorf("no segment of %d begins before %s: %w", len(files), at, err)
		}
		list, err := framesOf(s.t, nil, files[i-1])
		if err == nil && (hash == "" || !strings.Contains(list, hash)) {
			err = fmt.Errorf("%q is not in %s", hash, files[i-1])
		}
		return err
	})
}

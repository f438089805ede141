package main

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesisvideo/types"
	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/fakecam"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/integrator"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/playcheck"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools/site/played"
)

// oldStore was made by commit 421301e; see its README.
const (
	oldStore = "testdata/store-421301e"
	oldDir   = "/tmp/kvs-421301e" // where it was made
)

// oldCameras are the cameras of its configuration, at the addresses that its state directory knows.
var oldCameras = map[string]string{
	"front-door": "127.42.13.1:8554", ".hidden": "127.42.13.2:8554", strings.Repeat("long-", 50): "127.42.13.3:8554",
}

// newFrames is the counter from which today's frames count: those of the store have lower ones.
const newFrames = 1_000_000

// oldNotes are what the notes of the store say of a stream's frames, by the counters of its camera.
type oldNotes struct{ Persisted, Refused []uint64 }

// upgrade is a hub on which this version takes the place of commit 421301e.
type upgrade struct {
	*site
	notes   map[string]oldNotes
	line    map[string]map[string]int64 // see lineRefused
	onDisk  map[string]tally            // before anything was opened
	cameras map[string]*fakecam.Camera
}

// newUpgrade copies what that hub had.
func newUpgrade(t *testing.T) *upgrade {
	t.Helper()
	dir, err := os.MkdirTemp("", "kvs")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("everything is kept in %s; the end of the agent's output:\n%s", dir, tail(filepath.Join(dir, "agent.out"), 40))
			return
		}
		_ = os.RemoveAll(dir)
	})
	u := &upgrade{site: &site{t: t, dir: dir}, line: map[string]map[string]int64{}, onDisk: map[string]tally{},
		cameras: map[string]*fakecam.Camera{}}
	for _, part := range []string{"recordings", "state", "cloud"} {
		if err := os.CopyFS(filepath.Join(dir, part), os.DirFS(filepath.Join(oldStore, part))); err != nil {
			t.Fatal(err)
		}
	}
	u.read("notes.json", &u.notes)
	for stream := range u.notes {
		if u.onDisk[stream], err = localFrames(u.directory(stream)); err != nil {
			t.Fatal(err)
		}
		u.line[stream] = u.lineRefused(stream)
	}
	return u
}

func (u *upgrade) read(name string, v any) {
	u.t.Helper()
	data, err := os.ReadFile(filepath.Join(oldStore, name))
	if err == nil {
		err = json.Unmarshal(data, v)
	}
	if err != nil {
		u.t.Fatal(err)
	}
}

// directory is where a stream's recordings are.
func (u *upgrade) directory(stream string) string {
	u.t.Helper()
	markers, _ := filepath.Glob(filepath.Join(u.recordings(), "*", ".stream"))
	for _, path := range markers {
		var mark struct{ Stream string }
		if data, err := os.ReadFile(path); err == nil && json.Unmarshal(data, &mark) == nil && mark.Stream == stream {
			return filepath.Dir(path)
		}
	}
	u.t.Fatalf("stream %s has no directory", stream)
	return ""
}

// stampInName is the time in the name of a segment's file.
const stampInName = "20060102T150405.000Z"

// moveInTime moves all recordings to a minute ago, as if they had just been made: they are not to be too old for
// anything. What was recorded in 1970 stays there, and its note moves.
func (u *upgrade) moveInTime() {
	u.t.Helper()
	var by time.Duration
	u.eachFile(func(_, name string) {
		if at, err := time.Parse(stampInName, name[:min(len(name), len(stampInName))]); err == nil {
			by = min(cmp.Or(by, math.MaxInt64), time.Since(at)-time.Minute)
		}
	})
	by = by.Truncate(time.Millisecond)
	u.eachFile(func(path, name string) {
		at, err := time.Parse(stampInName, name[:min(len(name), len(stampInName))])
		switch {
		case name == ".stream":
			u.edit(path, regexp.MustCompile(`"lastEnd":(\d+)`), by.Milliseconds())
		case name == ".clock":
			u.edit(path, regexp.MustCompile(`"addMs":(\d+)`), by.Milliseconds())
		case err == nil && at.Year() > 1970:
			u.moveFile(path, name, at, by)
		}
	})
	u.moveLosses(by)
}

// moveLosses moves the times at which media was deleted before its upload: after a day they are no longer a condition.
func (u *upgrade) moveLosses(by time.Duration) {
	u.t.Helper()
	path := filepath.Join(filepath.Dir(u.recordings()), "state", "deleted-before-upload.json")
	data, err := os.ReadFile(path)
	if err != nil {
		u.t.Fatal(err)
	}
	data = regexp.MustCompile(`"20\d\d-[^"]*Z"`).ReplaceAllFunc(data, func(text []byte) []byte {
		at, err := time.Parse(`"`+time.RFC3339Nano+`"`, string(text))
		if err != nil {
			u.t.Fatal(err)
		}
		return at.Add(by).AppendFormat(nil, `"`+time.RFC3339Nano+`"`)
	})
	if err := os.WriteFile(path, data, 0o600); err != nil {
		u.t.Fatal(err)
	}
}

func (u *upgrade) eachFile(do func(path, name string)) {
	u.t.Helper()
	files, err := filepath.Glob(filepath.Join(u.recordings(), "*", "*"))
	if err != nil || len(files) == 0 {
		u.t.Fatal("there are no files: ", err)
	}
	for _, path := range files {
		do(path, filepath.Base(path))
	}
}

// edit adds to the numbers that a pattern finds in a file.
func (u *upgrade) edit(path string, pattern *regexp.Regexp, add int64) {
	u.t.Helper()
	data, err := os.ReadFile(path)
	if err == nil {
		data = pattern.ReplaceAllFunc(data, func(match []byte) []byte {
			key, number, _ := bytes.Cut(match, []byte(":"))
			n, _ := strconv.ParseInt(string(number), 10, 64)
			return fmt.Appendf(nil, "%s:%d", key, n+add)
		})
		err = os.WriteFile(path, data, 0o640)
	}
	if err != nil {
		u.t.Fatal(err)
	}
}

// moveFile moves a segment's file, or one beside it, in time.
func (u *upgrade) moveFile(path, name string, at time.Time, by time.Duration) {
	u.t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		u.t.Fatal(err)
	}
	// DateUTC (RFC 9559): the ID, a size of 8, nanoseconds since 2001.
	if i := bytes.Index(data, []byte{0x44, 0x61, 0x88}); i >= 0 && strings.HasSuffix(name, ".mkv") {
		date := data[i+3:][:8]
		binary.BigEndian.PutUint64(date, binary.BigEndian.Uint64(date)+uint64(by))
	}
	moved := filepath.Join(filepath.Dir(path), at.Add(by).Format(stampInName)+name[len(stampInName):])
	if err := errors.Join(os.WriteFile(path, data, 0o640), os.Rename(path, moved)); err != nil {
		u.t.Fatal(err)
	}
}

// startCloud starts the cloud of that hub, with its certificates, and cuts it off.
func (u *upgrade) startCloud() {
	u.t.Helper()
	var err error
	u.cloud, err = localcloud.Start(localcloud.Options{Dir: filepath.Join(u.dir, "cloud"), Log: zap.NewNop()})
	if err != nil {
		u.t.Fatal(err)
	}
	u.t.Cleanup(func() {
		_ = u.cloud.Close()
		played.Check(u.t, filepath.Join(u.dir, "cloud"), played.Excuses{
			playcheck.Constant: "the earlier version recorded another camera",
		})
	})
	if u.kvs, err = integrator.Client(u.t.Context(), u.cloud); err != nil {
		u.t.Fatal(err)
	}
	u.cloud.Faults().CutOff()
}

// startCameras starts cameras where the state directory says that they are. Another run of this test may be there yet.
func (u *upgrade) startCameras() {
	u.t.Helper()
	for stream, addr := range oldCameras {
		u.eventually("the address "+addr, func() error {
			l, err := net.Listen("tcp", addr)
			if err != nil {
				return err
			}
			return l.Close()
		})
		u.cameras[stream] = startCamera(u.t, fakecam.Options{Addr: addr, H265: true, User: "demo", Pass: "p@ss:word/1", Start: newFrames})
	}
}

// startOldSettings starts the agent with the agent.env of that hub, whose directories and endpoints are here now.
func (u *upgrade) startOldSettings() {
	u.t.Helper()
	data, err := os.ReadFile(filepath.Join(oldStore, "agent.env"))
	if err != nil {
		u.t.Fatal(err)
	}
	text := strings.ReplaceAll(string(data), oldDir, u.dir)
	for _, v := range u.cloud.AgentEnv(testThing) {
		if strings.HasSuffix(v.Name, "ENDPOINT") || strings.HasSuffix(v.Name, "ENDPOINT_URL") {
			text += v.String() + "\n"
		}
	}
	path := filepath.Join(u.dir, "agent.env")
	if err := os.WriteFile(path, []byte(text), 0o640); err != nil {
		u.t.Fatal(err)
	}
	agent, err := program()
	if err != nil {
		u.t.Fatal(err)
	}
	env := []string{"PATH=" + os.Getenv("PATH"), "AWS_KVS_EDGE_SOCKET=" + filepath.Join(u.dir, "agent.sock")}
	if u.agent, err = startAgent(agent, filepath.Join(u.dir, "agent.out"), env, "--env-file", path); err != nil {
		u.t.Fatal(err)
	}
	u.t.Cleanup(u.agent.kill)
}

// pending are the frames of a stream that were recorded and not uploaded.
func (u *upgrade) pending(stream string) tally {
	pending := tally{}
	for id, n := range u.onDisk[stream] {
		pending[id] = n
	}
	done := u.notes[stream].Persisted
	if len(u.line[stream]) == 0 { // otherwise the line was to blame for all that was refused
		done = slices.Concat(done, u.notes[stream].Refused)
	}
	for _, counter := range done {
		delete(pending, stampedID(counter))
	}
	return pending
}

// lineRefused returns the bytes of the fragments that the side files of a stream call refused although the service gave
// no code for them, by the start of their segment: the line was to blame, and they are pending again.
func (u *upgrade) lineRefused(stream string) map[string]int64 {
	u.t.Helper()
	bytes := make(map[string]int64)
	paths, _ := filepath.Glob(filepath.Join(u.directory(stream), "*.progress"))
	for _, path := range paths {
		data, err := os.ReadFile(path)
		if err != nil {
			u.t.Fatal(err)
		}
		for _, line := range strings.Split(string(data), "\n") {
			words := strings.Fields(line)
			if len(words) < 5 || words[0] != "refused" {
				continue
			}
			if _, err := strconv.Atoi(words[4]); err == nil {
				continue
			}
			size, err := strconv.ParseInt(words[2], 10, 64)
			start, timeErr := time.Parse("20060102T150405.000Z", strings.TrimSuffix(filepath.Base(path), ".progress"))
			if err != nil || timeErr != nil {
				u.t.Fatal(err, timeErr)
			}
			bytes[start.Format(time.RFC3339Nano)] += size
		}
	}
	return bytes
}

// expectUploaded waits until all of a stream is in the cloud, what was recorded before and what the camera sent since,
// and checks that nothing is there twice or was persisted before. What was refused may be tried again.
func (u *upgrade) expectUploaded(stream string) {
	u.t.Helper()
	inCloud := u.awaitAllInCloud(stream, func() (tally, error) {
		want := u.pending(stream)
		for id := range sentBy(u.cameras[stream].Sessions()) {
			want[id]++
		}
		return want, nil
	})
	for id, n := range inCloud { // the attic has each frame twice
		if n > max(1, u.onDisk[stream][id]) {
			u.t.Errorf("%s: frame %d is in the cloud %d times", stream, id.counter, n)
		}
	}
	for _, counter := range u.notes[stream].Persisted {
		if inCloud[stampedID(counter)] > 0 {
			u.t.Errorf("%s: frame %d was persisted before, and is sent again", stream, counter)
		}
	}
}

// sameListing compares what a listing says today with what commit 421301e said; there may be more in it now.
func (u *upgrade) sameListing(now string, recovered bool) {
	u.t.Helper()
	var before, after []map[string]any
	u.read("segments.json", &before)
	if err := json.Unmarshal([]byte(now), &after); err != nil || len(after) != len(before) {
		u.t.Fatalf("%d recordings are listed, %d were before: %v", len(after), len(before), err)
	}
	for i, old := range before {
		fields := []string{"stream", "start", "end", "bytes", "state", "pendingBytes", "clockUnset", "realStart"}
		switch {
		case recovered && old["state"] == "writing":
			fields = []string{"stream", "start"}
		case old["state"] == "refused": // may be tried again
			fields = slices.DeleteFunc(fields, func(f string) bool { return f == "pendingBytes" || f == "state" })
		}
		stream, start := fmt.Sprint(old["stream"]), fmt.Sprint(old["start"])
		if again, ok := u.line[stream][start]; ok && old["state"] == "sealed" {
			pending, _ := old["pendingBytes"].(float64)
			old["pendingBytes"] = min(pending+float64(again), old["bytes"].(float64))
		}
		for _, field := range fields {
			if fmt.Sprint(old[field]) != fmt.Sprint(after[i][field]) {
				u.t.Errorf("%s of %s: %s was %v, is %v", old["start"], old["stream"], field, old[field], after[i][field])
			}
		}
	}
}

// TestAStoreOfAnEarlierVersionIsListedAsBefore lists it as it is, and after it was opened.
func TestAStoreOfAnEarlierVersionIsListedAsBefore(t *testing.T) {
	t.Parallel()
	u := newUpgrade(t)
	list := func(recovered bool) {
		got, err := command(newSegmentsCommand(), "--json", "--dir", u.recordings())
		if err != nil {
			t.Fatal(err)
		}
		u.sameListing(got, recovered)
	}
	list(false)
	s, err := segment.Open(segment.Options{Dir: u.recordings()})
	if err != nil {
		t.Fatal(err)
	}
	set, err := s.Quarantined()
	if err != nil || len(set) != 1 {
		t.Errorf("set aside: %v %v", set, err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	list(true)
	for stream, before := range u.onDisk {
		if after, err := localFrames(u.directory(stream)); err != nil || before.missingFrom(after) > 0 || after.repeated() != before.repeated() {
			t.Errorf("%s: of %d frames %d are left: %v", stream, before.distinct(), after.distinct(), err)
		}
	}
	garbage, _ := filepath.Glob(filepath.Join(u.recordings(), "*", "*.garbage"))
	if len(garbage) > 0 {
		t.Errorf("left: %v", garbage)
	}
}

// TestTheAgentGoesOnWhereAnEarlierVersionStopped opens, records on, uploads and deletes.
func TestTheAgentGoesOnWhereAnEarlierVersionStopped(t *testing.T) {
	t.Parallel()
	u := newUpgrade(t)
	u.moveInTime()
	u.startCloud()
	u.startCameras()
	u.startOldSettings()
	// Without the cloud: the configuration and the cameras' URLs are those that are kept.
	for stream := range oldCameras {
		u.awaitRecorded(stream, 50)
	}
	u.awaitCondition("shed", "deleted before")
	u.cloud.Faults().Restore()
	// Streams that nobody had configured any more, and one whose configuration has changed.
	for _, stream := range []string{"attic", "yard", "barn"} {
		u.cameras[stream] = startCamera(t, fakecam.Options{H265: true, Start: newFrames})
		u.configure(stream, u.cameras[stream].URL())
		u.awaitRecorded(stream, 30)
	}
	unplug(u.t, slices.Collect(maps.Values(u.cameras))...)
	for stream := range u.cameras {
		u.expectUploaded(stream)
	}
	u.eventually("the end of the upload that the cloud had asked for", func() error {
		if data, err := os.ReadFile(filepath.Join(u.dir, "state", "uploads.json")); err != nil || strings.Contains(string(data), "request-1") {
			return fmt.Errorf("%s %w", data, err)
		}
		return nil
	})
	expectDocumentedFiles(t, u.recordings(), filepath.Join(u.dir, "state"))
	u.expectDeleted()
}

// expectDeleted has the agent delete what is uploaded of a stream, and what is too old of another.
func (u *upgrade) expectDeleted() {
	u.t.Helper()
	u.configure(".hidden", u.cameras[".hidden"].URL(), func(c *types.EdgeConfig) {
		c.DeletionConfig = &types.DeletionConfig{DeleteAfterUpload: aws.Bool(true)}
	})
	for _, stream := range []string{".hidden", "shed"} {
		u.eventually("the deletion of "+stream, func() error {
			if left, err := localFrames(u.directory(stream)); err != nil || left.distinct() > 0 {
				return fmt.Errorf("%d frames are left: %w", left.distinct(), err)
			}
			return nil
		})
	}
	u.stopAgent()
	s, err := segment.Open(segment.Options{Dir: u.recordings()})
	if err != nil {
		u.t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	for _, stream := range s.Streams() {
		dir := u.directory(stream)
		if err := s.DeleteStream(u.t.Context(), stream); err != nil {
			u.t.Errorf("%s: %v", stream, err)
		}
		if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
			u.t.Errorf("%s: %v", stream, err)
		}
	}
}

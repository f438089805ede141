package agent

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/clip"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/mkv"
	"github.com/kvs-edge/kvs-edge-agent/internal/recorder"
	"github.com/kvs-edge/kvs-edge-agent/internal/retention"
	"github.com/kvs-edge/kvs-edge-agent/internal/secret"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
	"github.com/kvs-edge/kvs-edge-agent/internal/settings"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools/faultdisk"
)

// The fault sweep: the n-th operation on files of a scenario fails, for each n and in each way; then the scenario continues, ends,
// and its directory is opened by another process. `make long-faults` takes every n, `make test` some.

// sweepRun is one scenario with one fault.
type sweepRun struct {
	t        *testing.T
	dir      string
	disk     *faultdisk.Disk
	registry *health.Registry
	store    *segment.Store
	context  context.Context
	running  sync.WaitGroup
	wrong    []string

	mu    sync.Mutex
	cloud map[segment.Key]map[time.Duration]int // frames of the fragments that were acknowledged
}

// sweepScenario is what an agent does with its disk.
type sweepScenario struct {
	name string
	// arrange prepares the directory, without faults.
	arrange func(r *sweepRun)
	// unopened has the store opened while the fault may strike.
	unopened bool
	// act does it. What fails is tried again, as the agent's parts do.
	act func(r *sweepRun)
	// same says that the same must be listed in the end as without a fault.
	same bool
}

var sweepScenarios = []sweepScenario{
	{name: "record", act: func(r *sweepRun) { r.record(time.Hour, 11*time.Second) }},
	{name: "roll", act: func(r *sweepRun) { r.record(2*time.Second, 11*time.Second) }},
	{name: "mark uploaded", arrange: threeSegments, act: (*sweepRun).upload, same: true},
	{name: "upload", arrange: threeSegments, act: (*sweepRun).uploadForReal, same: true},
	{name: "acknowledge", arrange: threeSegments, act: (*sweepRun).acknowledge, same: true},
	{name: "delete by age", arrange: oldAndNew, act: func(r *sweepRun) { r.retain(retention.Policy{MaxAge: time.Hour}) }, same: true},
	{name: "delete by size", arrange: oldAndNew, act: func(r *sweepRun) { r.retain(retention.Policy{MaxBytes: 7000}) }, same: true},
	{name: "delete uploaded", arrange: uploadedAndNot, act: func(r *sweepRun) { r.retain(retention.Policy{DeleteAfterUpload: true}) },
		same: true},
	{name: "delete stream", arrange: oldAndNew, act: (*sweepRun).deleteStream, same: true},
	{name: "recover", arrange: afterACut, unopened: true, act: func(*sweepRun) {}, same: true},
	{name: "all at once", act: func(r *sweepRun) {
		stop := r.background(func(ctx context.Context) { r.uploadAll(ctx, true) })
		r.startKeeper(retention.Policy{DeleteAfterUpload: true})
		r.record(2*time.Second, 9*time.Second)
		time.Sleep(30 * time.Second)
		stop()
	}},
}

func TestFaultSweep(t *testing.T) {
	t.Parallel()
	clip := filepath.Join(t.TempDir(), "clip.mkv")
	writeSweepClip(t, clip)
	var mu sync.Mutex
	var lines []string
	total := 0
	growth := testtools.Proof(t, "faults", testtools.Sizes[int]{Short: shortGrowth, Middle: 30, Long: 0})
	t.Run("all", func(t *testing.T) {
		for _, sc := range sweepScenarios {
			t.Run(sc.name, func(t *testing.T) {
				t.Parallel()
				want, _, wrong := sweepOnce(t, sc, clip, faultdisk.EIO, 0, 0)
				if len(wrong) > 0 {
					t.Fatalf("without a fault: %q", wrong)
				}
				for _, fault := range faultdisk.Faults {
					for _, times := range []int{1, sweepBurst} {
						if times > 1 && growth == shortGrowth {
							continue
						}
						runs, failed := sweepFault(t, sc, clip, sweepPass{fault, times, growth}, want)
						mu.Lock()
						total += runs
						lines = append(lines, fmt.Sprintf("%-16s %-21s %2d× %5d runs %4d failed", sc.name, fault, times, runs, failed))
						mu.Unlock()
					}
				}
			})
		}
	})
	slices.Sort(lines)
	t.Logf("%d runs:\n%s", total, strings.Join(lines, "\n"))
}

// sweepBurst is how many operations in a row fail in the second pass.
const sweepBurst = 5

// shortGrowth takes the operations 3, 14, 52, ... in `make test`.
const shortGrowth = 250

// sweepPass is how the operations of a scenario fail: in this way, so many in a row, and those whose numbers grow by so
// many per cent and one.
type sweepPass struct {
	fault         faultdisk.Fault
	times, growth int
}

// sweepFault has each operation of a scenario fail, or some.
func sweepFault(t *testing.T, sc sweepScenario, clip string, pass sweepPass, want []string) (runs, failed int) {
	fault, times := pass.fault, pass.times
	for n := 1; ; n++ {
		if n += n * pass.growth / 100; times > 1 {
			n += times
		}
		got, struck, wrong := sweepOnce(t, sc, clip, fault, n, times)
		if struck == "" {
			return runs, failed
		}
		if sc.same && !slices.Equal(got, want) {
			wrong = append(wrong, fmt.Sprintf("listed %q, without a fault %q", got, want))
		}
		if runs++; len(wrong) > 0 {
			failed++
			t.Errorf("%d× %s at operation %d (%s): %s", times, fault, n, struck, strings.Join(wrong, "; "))
		}
	}
}

// sweepOnce returns the segments that are listed in the end, the operation that failed, and what is wrong.
func sweepOnce(t *testing.T, sc sweepScenario, clip string, fault faultdisk.Fault, n, times int) (listed []string, struck string,
	wrong []string) {
	dir, err := os.MkdirTemp("", "sweep")
	must(t, err)
	defer func() { _ = os.RemoveAll(dir) }()
	must(t, os.Mkdir(filepath.Join(dir, "media"), 0o700))
	must(t, os.Link(clip, filepath.Join(dir, "media", "clip.mkv")))
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(27 * 365 * 24 * time.Hour) // to a time that a clock which was set shows
		ctx, stop := context.WithCancel(context.Background())
		r := &sweepRun{t: t, dir: filepath.Join(dir, "recordings"), disk: faultdisk.New(), registry: health.NewRegistry(time.Now), context: ctx,
			cloud: make(map[segment.Key]map[time.Duration]int)}
		if sc.arrange != nil {
			r.open()
			sc.arrange(r)
			must(t, r.store.Close())
		}
		if !sc.unopened {
			r.open()
		}
		r.disk.Arm(fault, n, times)
		if sc.unopened {
			r.open()
		}
		r.running.Go(func() { _ = r.store.Run(ctx) })
		sc.act(r)
		time.Sleep(3 * time.Minute) // directories are read again with pauses of up to a minute
		r.expectHealthy()
		struck = r.disk.Struck()
		r.disk.Arm(fault, 0, 0)
		before := r.listing()
		stop()
		r.running.Wait()
		if err := r.store.Close(); err != nil {
			r.wrong = append(r.wrong, "close: "+err.Error())
		}
		must(t, r.disk.Evict())
		listed = r.reopen(before)
		wrong = r.wrong
	})
	return listed, struck, wrong
}

// open opens the store as systemd starts an agent: again, when it ended.
// state has the state directory of the agent.
func (r *sweepRun) state() settings.Settings {
	return settings.Settings{StateDirectory: filepath.Join(filepath.Dir(r.dir), "state")}
}

func (r *sweepRun) open() {
	var err error
	for range 2 * sweepBurst {
		r.store, err = segment.Open(segment.Options{
			Dir: r.dir, Files: r.disk, FlushInterval: time.Second, Health: r.registry.Component("", health.JobStore),
			VolumeMemory: r.state().VolumeMemoryFile(),
		})
		if err == nil {
			return
		}
	}
	r.t.Fatal(err)
}

// record has a recorder play a file for so long.
func (r *sweepRun) record(segments, length time.Duration) {
	rec := recorder.New(recorder.Options{
		Stream: "door", Store: r.store, SegmentDuration: segments,
		FlushInterval: time.Second, Health: r.registry.Component("door", health.JobRecorder),
		Source: clip.NewSource(clip.Options{
			Directory: filepath.Join(filepath.Dir(r.dir), "media"),
			URL:       func(context.Context) (secret.String, error) { return secret.New("file:///clip.mkv?loop=true"), nil },
		}),
	})
	stop := r.background(func(ctx context.Context) { _ = rec.Run(ctx) })
	r.pass(length)
	r.disk.Over()
	r.pass(2 * time.Second) // the next keyframe
	part := r.registry.Component("door", health.JobRecorder).Snapshot()
	if worst, ok := part.Worst(); ok || part.State != "recording" {
		r.wrong = append(r.wrong, fmt.Sprintf("the recorder is %q, %q", part.State, worst.Text))
	}
	stop()
}

// background runs something until stop.
func (r *sweepRun) background(run func(context.Context)) (stop func()) {
	ctx, cancel := context.WithCancel(r.context)
	var running sync.WaitGroup
	running.Go(func() { run(ctx) })
	return func() { cancel(); running.Wait() }
}

// pass lets time pass, in the bubble that a run is in.
func (r *sweepRun) pass(d time.Duration) { time.Sleep(d) }

// uploadAll acknowledges what is recorded, and moves complete segments, until ctx ends.
func (r *sweepRun) uploadAll(ctx context.Context, move bool) {
	for ctx.Err() == nil {
		for _, info := range r.store.Segments("door", time.Time{}, time.Time{}) {
			if info.State == segment.Uploaded {
				continue
			}
			if reader, err := r.store.OpenSegment(info.Key); err == nil {
				fragments, finished, err := reader.Fragments()
				for _, f := range fragments {
					if err != nil || r.store.Done(info.Key, f.Start) {
						continue
					}
					if n, damage := countFrames(reader, f.Offset+f.Size, f); damage == nil {
						_ = r.store.MarkPersisted(info.Key, f) // the disk is tried again by the store
						r.persisted(info.Key, f.Start, n)
					}
				}
				if finished && err == nil && move {
					_ = r.store.MarkUploaded(info.Key) // tried again in the next round
				}
				_ = reader.Close()
			}
		}
		select {
		case <-ctx.Done():
		case <-time.After(time.Second):
		}
	}
}

func (r *sweepRun) persisted(k segment.Key, start time.Duration, frames int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.cloud[k] == nil {
		r.cloud[k] = make(map[time.Duration]int)
	}
	r.cloud[k][start] = frames
}

func (r *sweepRun) upload() {
	stop := r.background(func(ctx context.Context) { r.uploadAll(ctx, true) })
	r.pass(6 * time.Second)
	stop()
}

func (r *sweepRun) acknowledge() {
	stop := r.background(func(ctx context.Context) { r.uploadAll(ctx, false) })
	r.pass(4 * time.Second)
	stop()
}

func (r *sweepRun) startKeeper(p retention.Policy) {
	k := retention.New(retention.Options{Store: r.store, Default: p, Health: r.registry, Log: zap.NewNop(),
		MinFree: func(uint64) uint64 { return 0 }, Losses: r.state().LossesFile()})
	k.SetPolicy("door", p)
	r.running.Go(func() { _ = k.Run(r.context) })
}

func (r *sweepRun) retain(p retention.Policy) {
	r.startKeeper(p)
	r.pass(30 * time.Second)
}

func (r *sweepRun) deleteStream() {
	for range 2 * sweepBurst {
		if r.store.DeleteStream(r.context, "door") == nil {
			return
		}
		r.pass(time.Second)
	}
	r.wrong = append(r.wrong, "the stream cannot be deleted")
}

// expectHealthy checks the conditions after the fault. Each one that is left, such as a quarantined segment, is a finding.
func (r *sweepRun) expectHealthy() {
	for _, p := range r.registry.Snapshot() {
		for _, c := range p.Conditions {
			if c.Severity > health.Info && c.Code != "deleted-before-upload" {
				r.wrong = append(r.wrong, fmt.Sprintf("%s %s is left: %s", p.Stream, p.Job, c.Text))
			}
		}
	}
}

// listing is what the store lists.
func (r *sweepRun) listing() (list []string) {
	for _, stream := range r.store.Streams() {
		for _, info := range r.store.Segments(stream, time.Time{}, time.Time{}) {
			list = append(list, fmt.Sprintf("%s %d+%d %s %d", stream, info.Start, info.End.UnixMilli()-info.Start, info.State, info.Bytes))
		}
	}
	return list
}

// reopen opens the directory as the next process does, and checks all invariants.
func (r *sweepRun) reopen(before []string) []string {
	r.open()
	listed := r.listing()
	if !slices.Equal(before, listed) {
		r.wrong = append(r.wrong, fmt.Sprintf("after a restart %q, before %q", listed, before))
	}
	frames := 0
	for _, stream := range r.store.Streams() {
		for _, info := range r.store.Segments(stream, time.Time{}, time.Time{}) {
			frames += r.framesOf(info)
		}
	}
	r.mu.Lock()
	for k, fragments := range r.cloud {
		there := len(r.store.Segments(k.Stream, k.StartTime(), k.StartTime().Add(time.Millisecond))) > 0
		for start, n := range fragments {
			if !there {
				frames += n
			} else if !r.store.Done(k, start) {
				r.wrong = append(r.wrong, fmt.Sprintf("fragment %s of %d is sent twice", start, k.Start))
			}
		}
	}
	r.mu.Unlock()
	if want := int(r.registry.Component("door", health.JobRecorder).Value(health.FramesRecorded)); frames < want {
		r.wrong = append(r.wrong, fmt.Sprintf("%d frames are there, %d were recorded", frames, want))
	}
	r.expectKnownFiles()
	must(r.t, r.store.Close())
	return listed
}

// framesOf reads a segment whole.
func (r *sweepRun) framesOf(info segment.Info) (frames int) {
	if _, err := r.store.Verify(context.Background(), info.Key); err != nil {
		r.wrong = append(r.wrong, fmt.Sprintf("segment %d is damaged: %v", info.Start, err))
	}
	reader, err := r.store.OpenSegment(info.Key)
	if err != nil {
		return 0
	}
	defer func() { _ = reader.Close() }()
	fragments, _, err := reader.Fragments()
	for _, f := range fragments {
		n, damage := countFrames(reader, info.Bytes, f)
		frames, err = frames+n, errors.Join(err, damage)
	}
	if err != nil {
		r.wrong = append(r.wrong, fmt.Sprintf("segment %d cannot be read: %v", info.Start, err))
	}
	return frames
}

func countFrames(from *segment.Reader, size int64, f mkv.Fragment) (frames int, err error) {
	m, err := mkv.Open(from, size)
	if err != nil {
		return 0, err
	}
	for block, err := range m.Blocks(f) {
		if err != nil {
			return frames, err
		}
		if len(block.Data) > 4 && block.Data[4] == 0 { // no NAL unit begins so
			return frames, errors.New("a frame of zeros")
		}
		frames++
	}
	return frames, nil
}

// expectKnownFiles finds what nobody would ever list or delete.
func (r *sweepRun) expectKnownFiles() {
	_ = filepath.WalkDir(r.dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name := d.Name()
		for _, known := range []string{".sealed.mkv", ".uploaded.mkv", ".progress", ".stream", ".clock", ".gaps", ".kvs-edge-format",
			".kvs-edge-volume", ".kvs-edge-agent.lock"} {
			if strings.HasSuffix(name, known) {
				return nil
			}
		}
		r.wrong = append(r.wrong, "left: "+path[len(r.dir):])
		return nil
	})
}

// What scenarios begin with.

func threeSegments(r *sweepRun) { r.addSegments(time.Now().Add(-time.Hour), 3) }

func oldAndNew(r *sweepRun) {
	r.addSegments(time.Now().Add(-3*time.Hour), 3)
	r.addSegments(time.Now().Add(-10*time.Minute), 2)
}

func uploadedAndNot(r *sweepRun) {
	for i, k := range r.addSegments(time.Now().Add(-time.Hour), 4) {
		if i%2 == 0 {
			r.mark(k)
			must(r.t, r.store.MarkUploaded(k))
		}
	}
}

// afterACut leaves a torn segment, a side file and garbage.
func afterACut(r *sweepRun) {
	keys := r.addSegments(time.Now().Add(-time.Hour), 3)
	r.mark(keys[0])
	w := r.begin(time.Now())
	must(r.t, w.Flush())
	must(r.t, os.WriteFile(filepath.Join(r.dir, "door", "20200101T000000.000Z+5.garbage"), []byte("x"), 0o600))
}

func (r *sweepRun) mark(k segment.Key) {
	reader, err := r.store.OpenSegment(k)
	must(r.t, err)
	fragments, _, err := reader.Fragments()
	must(r.t, errors.Join(err, reader.Close()))
	for _, f := range fragments {
		must(r.t, r.store.MarkPersisted(k, f))
	}
}

func (r *sweepRun) addSegments(from time.Time, n int) (keys []segment.Key) {
	for i := range n {
		w := r.begin(from.Add(time.Duration(i) * time.Minute))
		must(r.t, w.Seal())
		keys = append(keys, w.Key())
	}
	return keys
}

// begin writes two fragments of a second, and half of a third.
func (r *sweepRun) begin(start time.Time) *segment.Writer {
	w, err := r.store.Create("door", mkv.Header{Start: start.Truncate(time.Millisecond), Tracks: []mkv.Track{sweepTrack()}})
	must(r.t, err)
	for f := range 3 {
		at := time.Duration(f) * time.Second
		must(r.t, w.BeginFragment(at, true))
		for i := range 5 {
			must(r.t, w.WriteFrame(1, at+time.Duration(i)*200*time.Millisecond, i == 0, [][]byte{sweepPicture(i)}))
		}
	}
	return w
}

// sweepPicture is a slice of the i-th frame of a GOP.
func sweepPicture(i int) []byte {
	head := []byte{0x41, 0x9a}
	if i == 0 {
		head = []byte{0x65, 0x88}
	}
	return append(head, slices.Repeat([]byte{0x21, byte(i + 1)}, 100)...)
}

// sweepTrack is a track of 352x288.
func sweepTrack() mkv.Track {
	sps := []byte{0x67, 0x64, 0x00, 0x0c, 0xac, 0x3b, 0x50, 0xb0, 0x4b, 0x42, 0x00, 0x00, 0x03, 0x00, 0x02, 0x00, 0x00, 0x03, 0x00, 0x3d, 0x08}
	pps := []byte{0x68, 0xee, 0x3c, 0x80}
	private := append([]byte{1, sps[1], sps[2], sps[3], 0xff, 0xe1, 0, byte(len(sps))}, sps...)
	private = append(append(private, 1, 0, byte(len(pps))), pps...)
	return mkv.Track{Number: 1, Kind: mkv.Video, CodecID: mkv.CodecAVC, CodecPrivate: private, Width: 352, Height: 288}
}

// writeSweepClip makes a film of 2 s with 5 frames and a keyframe a second.
func writeSweepClip(t *testing.T, path string) {
	t.Helper()
	dir := t.TempDir()
	store, err := segment.Open(segment.Options{Dir: dir})
	must(t, err)
	r := &sweepRun{t: t, store: store}
	must(t, errors.Join(r.begin(time.Now()).Seal(), store.Close()))
	files, err := filepath.Glob(filepath.Join(dir, "door", "*.mkv"))
	must(t, err)
	must(t, os.Rename(files[0], path))
}

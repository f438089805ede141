package simulate

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/media"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
	"github.com/kvs-edge/kvs-edge-agent/internal/settings"
)

// world is all that there is in one seed: a hub, its cameras, the line, the cloud and those who use them.
type world struct {
	*account
	choices  *choices
	random   *rand.Rand // for draws that are too small to be choices
	dir      string
	begin    time.Time
	length   time.Duration
	clock    *clock
	disk     *disk
	line     *line
	cloud    *cloud
	control  *control
	cameras  map[string]*camera
	settings settings.Settings
	modes    map[string]settings.UploadMode
	zone     atomic.Pointer[time.Location]
	trusted  atomic.Bool  // the kernel says that the clock is synchronised
	booted   atomic.Int64 // when the hub booted, in ns since epoch

	running chan struct{} // capacity 1: held while the hub starts or ends, or is inspected. Who waits for a mutex would hold up the time
	hub     atomic.Pointer[hub]

	planted string // a bug; "" for none
	lived   time.Duration

	seen    sync.Mutex
	marks   int            // guarded by seen
	reached map[string]int // guarded by seen
	checked map[segment.Key]checked
}

// checked is what was found in a segment.
type checked struct {
	bytes int64
	state segment.State
	units []unit
}

func (w *world) synchronised() bool { return w.trusted.Load() }

// sinceBoot is the hub's clock that nothing but a power cut sets back.
func (w *world) sinceBoot() time.Duration { return time.Since(epoch) - time.Duration(w.booted.Load()) }

func (w *world) camera(stream string) *camera { return w.cameras[stream] }

// reachedState notes a rare state.
func (w *world) reachedState(what string) {
	w.seen.Lock()
	defer w.seen.Unlock()
	w.reached[what]++
}

// receipt notes what a process that lives has seen acknowledged.
func (w *world) receipt(h *hub, number string) {
	if w.lives(h) {
		w.account.receipt(number)
	}
}

// stopped holds what a process said at its end.
func (w *world) stopped(err error) {
	if err != nil && !w.busy() {
		w.broken("the store says at its end: %v", err)
	}
}

// busy reports whether the disk does not do as it should.
func (w *world) busy() bool {
	w.disk.mu.Lock()
	defer w.disk.mu.Unlock()
	return w.disk.state != diskState{} || w.disk.room < 1<<30
}

// newWorld makes the world of a seed. It is called in a bubble.
func newWorld(c *choices, dir string, most time.Duration) (w *world, err error) {
	<-time.After(27 * 365 * 24 * time.Hour) // to a time that a clock which was set shows
	d := c.of("world", time.Now())
	// Somewhere in a year, and often just before a change of daylight-saving time.
	<-time.After(d.between("day of the year", 0, 365*24*time.Hour))
	zone := anyZone(d)
	if d.oneIn("before a change of daylight-saving time", 3) {
		if change, found := nextChange(time.Now(), zone); found {
			<-time.After(time.Until(change) - d.spread("before that", time.Minute, 20*time.Hour))
		}
	}
	w = &world{choices: c, dir: dir, random: rand.New(rand.NewPCG(c.seed, 1)), begin: time.Now(), clock: new(clock),
		cameras: make(map[string]*camera), modes: make(map[string]settings.UploadMode), reached: make(map[string]int),
		checked: make(map[segment.Key]checked), running: make(chan struct{}, 1)}
	d.begin = w.begin
	w.length = d.spread("length", time.Hour, most)
	cameras := []int{1, 1, 1, 1, 2, 3}[d.pick("cameras", 6)]
	w.booted.Store(int64(time.Since(epoch)))
	w.account = newAccount(cameras, w.length, w.clock, w.reachedState)
	w.settings.SegmentDuration = d.spread("segments", time.Minute, 16*time.Minute)
	w.settings.FlushInterval = []time.Duration{2 * time.Second, 2 * time.Second, 10 * time.Second}[d.pick("flush interval", 3)]
	w.trusted.Store(true)
	w.zone.Store(zone)
	if w.disk, err = newDisk(dir, rand.New(rand.NewPCG(c.seed, 2)), w.account); err != nil {
		return nil, err
	}
	w.line = newLine()
	w.cloud, err = newCloud(filepath.Join(dir, "cloud"), w.line, rand.New(rand.NewPCG(c.seed, 3)),
		func(stream string, f media.Fragment, data []byte) { w.arrive(stream, f, data) })
	if err != nil {
		return nil, err
	}
	w.control = newControl(func() bool {
		w.line.mu.Lock()
		defer w.line.mu.Unlock()
		return w.line.state == lineUp
	})
	for i := range cameras {
		stream := fmt.Sprintf("camera-%d", i)
		w.cameras[stream] = &camera{
			number: uint8(i), gop: uint32(3 + d.pick("GOP", 13)), size: 20 + d.pick("size", 40), begin: w.begin, clock: w.clock,
			changed: make(chan struct{}), given: w.gave,
		}
		w.cloud.create(stream)
		w.modes[stream] = []settings.UploadMode{settings.UploadLive, settings.UploadLive, settings.UploadScheduled,
			settings.UploadOnRequest}[d.pick("upload mode", 4)]
	}
	return w, nil
}

// offsetNow is how far the hub's zone is from UTC, in seconds.
func (w *world) offsetNow() int {
	_, offset := time.Now().In(w.zone.Load()).Zone()
	return offset
}

var zones = []string{"UTC", "America/New_York", "Europe/Berlin", "Australia/Lord_Howe", "Asia/Kathmandu", "America/St_Johns"}

func anyZone(d *dice) *time.Location {
	zone, err := time.LoadLocation(zones[d.pick("zone", len(zones))])
	if err != nil {
		return time.UTC
	}
	return zone
}

// nextChange is when clocks are next put forward or back, more than a day from now.
func nextChange(from time.Time, zone *time.Location) (at time.Time, found bool) {
	for day := 2; day < 400; day++ {
		at = from.Add(time.Duration(day) * 24 * time.Hour).Truncate(time.Hour)
		_, before := at.In(zone).Zone()
		if _, after := at.Add(24 * time.Hour).In(zone).Zone(); before != after {
			return at.Add(12 * time.Hour), true
		}
	}
	return at, false
}

// start boots the hub, as often as systemd does.
func (w *world) start() error {
	w.running <- struct{}{}
	defer func() { <-w.running }()
	if w.hub.Load() != nil {
		return nil // somebody else started it
	}
	var err error
	for range 20 {
		var h *hub
		if h, err = w.boot(); err == nil {
			w.hub.Store(h)
			return nil
		}
		w.choices.noted(w.begin, "the agent does not start: %v", err)
		w.reachedState("an agent that does not start")
		if !w.busy() {
			break
		}
		<-time.After(5 * time.Second)
	}
	return err
}

// powerCut is a way in which the hub ends, and boots.
const powerCut = "power cut"

// end ends the hub in one of the ways.
func (w *world) end(how string) {
	w.running <- struct{}{}
	defer func() { <-w.running }()
	h := w.hub.Swap(nil)
	if h == nil {
		return
	}
	began := time.Now()
	switch how {
	case "stop":
		if took := h.stop(); took > 5*time.Second && !w.busy() {
			w.broken("a stop took %s", took)
		}
		w.disk.unplug()
		w.trouble(began, time.Minute)
	default:
		w.killed()
		h.kill(how == powerCut)
		if how == powerCut {
			w.booted.Store(int64(time.Since(epoch)))
		}
		w.trouble(began.Add(-2*w.settings.FlushInterval-time.Second), time.Minute)
	}
	w.reachedState(how)
}

// check reads what is in the store and holds the promises against all.
func (w *world) check(final bool) error {
	w.running <- struct{}{}
	defer func() { <-w.running }()
	h := w.hub.Load()
	if h == nil {
		return errOff
	}
	busy := w.busy()
	w.account.mu.Lock()
	busy = busy || w.wasTrouble(time.Now())
	w.account.mu.Unlock()
	if busy && !final {
		return nil // what a disk keeps from being finished is not listed
	}
	uploaded := uploadedOf(h.store) // before it is known what the cloud has
	if err := w.cloud.renew(); err != nil {
		return err
	}
	w.beginCheck()
	next := make(map[segment.Key]checked)
	for _, stream := range h.store.Streams() {
		for _, info := range h.store.Segments(stream, time.Time{}, time.Time{}) {
			c, known := w.checked[info.Key]
			if !known || c.bytes != info.Bytes || c.state != info.State || info.State == segment.Writing {
				c = checked{info.Bytes, info.State, w.unitsOf(h.store, info)}
			}
			next[info.Key] = c
			w.account.mu.Lock()
			for _, u := range c.units {
				*w.unit(u) |= onDisk
				if uploaded[info.Key] {
					*w.unit(u) |= claimed
				}
			}
			w.account.mu.Unlock()
		}
	}
	w.checked = next
	before := w.failures()
	w.conclude(final, w.disk.paths())
	if w.failures() > before {
		for _, p := range h.registry.Snapshot() {
			for _, c := range p.Conditions {
				w.broken("meanwhile %s %s says since %s: %s (%v)", p.Stream, p.Job, c.Since.Sub(w.begin).Truncate(time.Second), c.Text, c.Code)
			}
		}
	}
	return nil
}

// uploadedOf are the segments of which the store says that all is in the cloud.
func uploadedOf(store *segment.Store) map[segment.Key]bool {
	uploaded := make(map[segment.Key]bool)
	for _, stream := range store.Streams() {
		for _, info := range store.Segments(stream, time.Time{}, time.Time{}) {
			if info.State == segment.Uploaded && !info.Refused {
				uploaded[info.Key] = true
			}
		}
	}
	return uploaded
}

func (w *world) failures() int {
	w.account.mu.Lock()
	defer w.account.mu.Unlock()
	return len(w.wrong)
}

// unitsOf are the access units that can be read of a segment.
func (w *world) unitsOf(store *segment.Store, info segment.Info) (units []unit) {
	r, err := store.OpenSegment(info.Key)
	if err != nil {
		if !w.busy() && !errors.Is(err, segment.ErrNotFound) {
			w.broken("segment %s of %s cannot be opened: %v", info.ID(), info.Stream, err)
		}
		return nil
	}
	defer func() { _ = r.Close() }()
	fragments, _, err := r.Fragments()
	if err != nil {
		w.broken("segment %s of %s cannot be read: %v", info.ID(), info.Stream, err)
	}
	var data []byte
	for _, f := range fragments {
		if int64(len(data)) < f.Size {
			data = make([]byte, f.Size)
		}
		if _, err := r.ReadAt(data[:f.Size], f.Offset); err != nil {
			w.broken("fragment %s of segment %s of %s cannot be read: %v", f.Start, info.ID(), info.Stream, err)
			continue
		}
		units = append(units, unitsIn(data[:f.Size])...)
	}
	if info.State == segment.Writing { // what is not a whole fragment yet
		if m, err := os.ReadFile(store.Path(info.Key)); err == nil {
			units = append(units, unitsIn(m)...)
		}
	}
	return units
}

// calm has everything work, and waits until the hub must have recovered from what was.
func (w *world) calm() error {
	w.line.set(lineUp, 0)
	w.cloud.setFailing(0)
	w.cloud.now().Faults().Clear()
	w.disk.set(func(s *diskState) { *s = diskState{} })
	w.disk.unsqueeze()
	for _, c := range w.cameras {
		c.set(false, false)
	}
	w.control.deliver()
	w.trouble(time.Now().Add(-time.Minute), 3*time.Minute)
	if w.hub.Load() == nil {
		if err := w.start(); err != nil {
			return fmt.Errorf("the agent does not start in calm times: %w", err)
		}
	}
	<-time.After(3 * time.Hour)
	w.trouble(time.Now().Add(-30*time.Second), time.Hour) // what is under way is on the disk soon
	return nil
}

// lasting are conditions that are shown for a day, as they are events, and what is said of fragments that the service has refused:
// these stay.
var lasting = map[string]bool{"deleted-before-upload": true, "upload-refused": true}

// conditionsOver holds that what is wrong ends with its cause.
func (w *world) conditionsOver() {
	for _, p := range w.hub.Load().registry.Snapshot() {
		for _, c := range p.Conditions {
			if c.Severity > health.Info && !lasting[c.Code] {
				w.broken("%s %s still says, in calm times: %s (%s)", p.Stream, p.Job, c.Text, c.Code)
			}
		}
	}
}

// live runs the whole life of the hub, and returns what was wrong.
func (w *world) live() []string {
	ctx, end := context.WithCancel(context.Background())
	w.configureAll()
	if err := w.start(); err != nil {
		w.broken("the agent does not start: %v", err)
	} else {
		var acting sync.WaitGroup
		for _, a := range w.cast() {
			acting.Go(func() { a(ctx) })
		}
		<-time.After(w.length)
		end()
		acting.Wait()
		if err := w.calm(); err != nil {
			w.broken("%v", err)
		} else {
			w.conditionsOver()
			w.uploadedAll()
			if err := w.check(true); err != nil {
				w.broken("%v", err)
			}
		}
	}
	end()
	w.boundMemory()
	w.lived = time.Since(w.begin)
	if _, before := w.begin.In(w.zone.Load()).Zone(); before != w.offsetNow() {
		w.reachedState("daylight-saving time changed")
	}
	w.end("stop")
	if err := w.cloud.close(); err != nil {
		w.broken("the cloud: %v", err)
	}
	w.account.mu.Lock()
	defer w.account.mu.Unlock()
	return slices.Clone(w.wrong)
}

// uploadedAll holds that nothing waits for the cloud for ever.
func (w *world) uploadedAll() {
	h := w.hub.Load()
	for _, stream := range w.control.wanted() {
		if w.modes[stream] == settings.UploadOnRequest {
			continue
		}
		for _, info := range h.store.Segments(stream, time.Time{}, time.Time{}) {
			if info.State == segment.Sealed && w.clock.now().Sub(info.End) > 90*time.Minute && w.modes[stream] == settings.UploadLive {
				w.broken("segment %s of %s, of %s, is still not uploaded", info.ID(), stream, info.End)
			}
		}
	}
}

// lives reports whether a process is the one that runs.
func (w *world) lives(h *hub) bool {
	w.disk.mu.Lock()
	defer w.disk.mu.Unlock()
	return w.disk.current == h.view
}

// mostHeap is what the agent may have in memory at the end of its life, with what the world has beside its lists of units and files.
const mostHeap = 96 << 20

// boundMemory holds that a long life takes no more memory than a short one.
func (w *world) boundMemory() {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	w.disk.mu.Lock()
	own := 3 * w.disk.used // what files have is in memory too, and what is not synced twice
	w.disk.mu.Unlock()
	w.account.mu.Lock()
	for _, units := range w.units {
		own += 6 * int64(len(units))
	}
	own += 64 * int64(cap(w.archive))
	w.account.mu.Unlock()
	if heap := int64(m.HeapAlloc) - own; heap > mostHeap {
		w.broken("the heap has %d MB at the end of the life", heap>>20)
	}
}

package uploader

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/audio"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/media"
	"github.com/kvs-edge/kvs-edge-agent/internal/mkv"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
	"github.com/kvs-edge/kvs-edge-agent/internal/uploader/queue"
)

var (
	// muLaw is a WAVEFORMATEX of one channel at 8 kHz (RFC 2361).
	muLaw = mkv.Track{Number: 2, Kind: mkv.Audio, CodecID: mkv.CodecACM,
		CodecPrivate: []byte{7, 0, 1, 0, 0x40, 0x1F, 0, 0, 0x40, 0x1F, 0, 0, 1, 0, 8, 0, 0, 0}, SampleRate: 8000, Channels: 1, BitDepth: 8}
	aac      = mkv.Track{Number: 2, Kind: mkv.Audio, CodecID: mkv.CodecAAC, CodecPrivate: []byte{0x15, 0x88}, SampleRate: 8000, Channels: 1}
	opus     = audio.Description{Encoding: "OPUS", Clock: 48_000}
	surround = mkv.Track{Number: 2, Kind: mkv.Audio, CodecID: mkv.CodecAAC, CodecPrivate: []byte{0x11, 0xB0}, SampleRate: 48_000, Channels: 6}
	noSound  = mkv.Track{}
	codecsOf = map[string]mkv.Track{"G.711": muLaw, "AAC": aac, "Opus": trackOf(opus), "AAC of 6": surround, "": noSound}
)

func trackOf(d audio.Description) mkv.Track {
	s, _ := d.Stream()
	return s.Format.Track(2)
}

// createWith begins a segment with sound, none with noSound.
func (w *rig) createWith(sound mkv.Track) *segment.Writer {
	w.t.Helper()
	tracks := []mkv.Track{videoTrack(640)}
	if sound.Number > 0 {
		tracks = append(tracks, sound)
	}
	writer, err := w.store.Create(door, mkv.Header{Start: w.next, Title: door, Tracks: tracks})
	must(w.t, err)
	return writer
}

// heard adds a fragment of 2 s with sound between its pictures.
func (w *rig) heard(writer *segment.Writer, sound, video bool) {
	w.t.Helper()
	at := w.next.Sub(time.UnixMilli(writer.Key().Start))
	must(w.t, writer.BeginFragment(at, true))
	for n := range 5 {
		t := at + time.Duration(n)*400*time.Millisecond
		if sound {
			must(w.t, writer.WriteFrame(2, t, true, [][]byte{make([]byte, 160)}))
			must(w.t, writer.WriteFrame(2, t+20*time.Millisecond, true, [][]byte{make([]byte, 160)}))
		}
		if video {
			nal := bytes.Repeat([]byte{byte(n)}, 300)
			if nal[0] = 0x41; n == 0 {
				nal[0] = 0x65
			}
			must(w.t, writer.WriteFrame(1, t, n == 0, [][]byte{nal}))
		}
	}
	_, err := writer.EndFragment()
	must(w.t, err)
	if video {
		w.want = append(w.want, w.next.UnixMilli())
	}
	w.next = w.next.Add(2 * time.Second)
}

// recordWith makes a sealed segment of 3 fragments.
func (w *rig) recordWith(sound mkv.Track) {
	w.t.Helper()
	writer := w.createWith(sound)
	for range 3 {
		w.heard(writer, sound.Number > 0, true)
	}
	must(w.t, writer.Seal())
}

// sounds lists the sound of each stored fragment, as GetMedia returns it.
func (w *rig) sounds() (list []string) {
	w.t.Helper()
	path := filepath.Join(w.t.TempDir(), "got.mkv")
	w.getMedia(path, len(w.service.Fragments(door)))
	answer, err := os.ReadFile(path)
	must(w.t, err)
	for _, part := range strings.Split(string(answer), "\x1A\x45\xDF\xA3")[1:] {
		switch {
		case strings.Contains(part, mkv.CodecACM):
			list = append(list, "G.711")
		case strings.Contains(part, mkv.CodecAAC):
			list = append(list, "AAC")
		default:
			list = append(list, "")
		}
	}
	return list
}

func (w *rig) expectSounds(want ...string) {
	w.t.Helper()
	if got := w.sounds(); !slices.Equal(got, want) {
		w.t.Errorf("the fragments are stored with %q, want %q", got, want)
	}
}

// expectPictures checks that the service has 5 in each fragment, each in the place of its time.
func (w *rig) expectPictures() {
	w.t.Helper()
	n := 0
	for frame, err := range w.service.Frames(door) {
		must(w.t, err)
		if want := w.want[frame.Fragment] + int64(n%5)*400; frame.Producer.UnixMilli() != want || len(frame.Data) != 304 {
			w.t.Errorf("picture %d is at %d with %d bytes, want %d", n, frame.Producer.UnixMilli(), len(frame.Data), want)
		}
		n++
	}
	if n != 5*len(w.want) {
		w.t.Errorf("%d pictures of %d fragments", n, len(w.want))
	}
}

// audible limits let a test read what is stored.
func audible() media.Limits {
	limits := roomy
	limits.GetMediaIdle = 50 * time.Millisecond
	return limits
}

func fixed(a Audio) func(*Options) { return func(o *Options) { o.Audio = func() Audio { return a } } }

// The same rules apply to media recorded before an upgrade: the store is closed and opened in between.
func TestWhichSoundOfABacklogIsSent(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name     string
		audio    Audio
		recorded []string // a segment each
		sent     []string
		sessions int
		left     bool // status reports at the end that audio is left out
	}{
		{"AAC goes along", AudioPlayable, []string{"AAC", "AAC"}, []string{"AAC", "AAC"}, 1, false},
		{"G.711 does not", AudioPlayable, []string{"G.711", "G.711"}, []string{"", ""}, 1, true},
		{"G.711 goes along on request", AudioAll, []string{"G.711", "G.711"}, []string{"G.711", "G.711"}, 1, false},
		{"Opus does not", AudioPlayable, []string{"Opus", "AAC"}, []string{"", "AAC"}, 2, false},
		{"Opus does not on request either", AudioAll, []string{"G.711", "Opus"}, []string{"G.711", ""}, 2, true},
		{"nor does AAC with six channels", AudioAll, []string{"AAC of 6"}, []string{""}, 1, true},
		{"no sound", AudioPlayable, []string{"", ""}, []string{"", ""}, 1, false},
		{"audio is switched off in between", AudioPlayable, []string{"G.711", ""}, []string{"", ""}, 1, false},
		{"the camera is set to AAC in between", AudioPlayable, []string{"G.711", "AAC"}, []string{"", "AAC"}, 2, false},
		{"and back", AudioPlayable, []string{"AAC", "G.711"}, []string{"AAC", ""}, 2, true},
		{"on request, all as it was recorded", AudioAll, []string{"AAC", "G.711", ""}, []string{"AAC", "G.711", ""}, 3, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			w := newRig(t, 24, audible())
			var want []string
			for i, codec := range tc.recorded {
				w.recordWith(codecsOf[codec])
				want = append(want, tc.sent[i], tc.sent[i], tc.sent[i])
			}
			must(t, w.store.Close())
			w.openStore()
			w.drain(w.uploader(fixed(tc.audio)))
			w.expectOnce()
			w.expectUploaded(0)
			w.expectSounds(want...)
			w.expectPictures()
			if stats := w.service.Stats(door); stats.Sessions != tc.sessions || stats.Errors != 0 || stats.Bytes != w.number(health.BytesUploaded) {
				t.Errorf("the service saw %+v, want %d sessions and %d bytes", stats, tc.sessions, w.number(health.BytesUploaded))
			}
			if w.reports(CodeAudio) != tc.left {
				t.Errorf("status says %+v", w.health.Snapshot())
			}
		})
	}
}

func TestTheSentenceOnSoundThatIsLeftOut(t *testing.T) {
	t.Parallel()
	w := newRig(t, 24, roomy)
	w.recordWith(muLaw)
	w.drain(w.uploader())
	says := func(text string) {
		t.Helper()
		list := w.health.Component(door, health.JobUploader).Snapshot().Conditions
		if len(list) != 1 || list[0].Severity != health.Info || list[0].Class != health.UserError || !strings.Contains(list[0].Text, text) {
			t.Errorf("status says %+v, want %q", list, text)
		}
	}
	says("G.711, with which neither the console nor HLS plays the video")
	w.recordWith(trackOf(opus))
	w.drain(w.uploader())
	says("Opus, which Kinesis Video Streams does not play")
}

// A change takes effect with the next fragment, in a session of its own, as a session has one head.
func TestAChangeOfTheSettingLosesAndRepeatsNothing(t *testing.T) {
	t.Parallel()
	for _, live := range []bool{false, true} {
		t.Run(fmt.Sprintf("live=%v", live), func(t *testing.T) {
			t.Parallel()
			w := newRig(t, 24, audible())
			var audio atomic.Uint32
			u := w.uploader(func(o *Options) { o.Audio = func() Audio { return Audio(audio.Load()) } })
			var stop func()
			if live {
				stop = w.runLive(u)
			} else {
				stop = w.run(u)
			}
			writer := w.createWith(muLaw)
			var want []string
			for _, step := range []struct {
				audio Audio
				sent  string
			}{{AudioPlayable, ""}, {AudioAll, "G.711"}, {AudioPlayable, ""}, {AudioAll, "G.711"}} {
				audio.Store(uint32(step.audio))
				for range 3 {
					w.heard(writer, true, true)
					want = append(want, step.sent)
					if live { // or the newest of the three goes first
						w.await(len(w.want))
					}
				}
				w.await(len(w.want))
				if w.reports(CodeAudio) != (step.sent == "") {
					t.Errorf("with %q sent, status says %+v", step.sent, w.health.Snapshot())
				}
			}
			must(t, writer.Seal())
			stop()
			w.expectOnce()
			w.expectSounds(want...)
			w.expectPictures()
			if stats := w.service.Stats(door); stats.Sessions != 4 || stats.Errors != 0 || stats.Displaced != 0 || stats.Torn != 0 {
				t.Errorf("the service saw %+v, want 4 sessions that ended in good order", stats)
			}
		})
	}
}

// The setting changes repeatedly while fragments wait for their acknowledgement.
func TestChangesOfTheSettingAtAnyMoment(t *testing.T) {
	t.Parallel()
	w := newRig(t, 24, audible())
	for range 8 {
		w.recordWith(muLaw)
	}
	var asked atomic.Uint32
	w.drain(w.uploader(func(o *Options) {
		o.Audio = func() Audio { return Audio(asked.Add(1) / 7 % 2) }
	}))
	w.expectOnce()
	w.expectUploaded(0)
	w.expectPictures()
	if stats := w.service.Stats(door); stats.Errors != 0 || stats.Torn != 0 || stats.Sessions < 3 {
		t.Errorf("the service saw %+v", stats)
	}
}

// The setting changes while a part of a fragment waits for its acknowledgement: that part went without the sound
// that the others go with, so it is sent again.
func TestAPartInFlightIsNotOneOfThoseOfAnotherSetting(t *testing.T) {
	t.Parallel()
	w := newRig(t, 24, audible())
	writer := w.createWith(muLaw)
	must(t, writer.BeginFragment(0, true))
	for at := time.Duration(0); at < 8*time.Second; at += 400 * time.Millisecond {
		must(t, writer.WriteFrame(1, at, at%(2*time.Second) == 0, [][]byte{append([]byte{0x65}, make([]byte, 300)...)}))
		must(t, writer.WriteFrame(2, at+20*time.Millisecond, true, [][]byte{make([]byte, 160)}))
	}
	_, err := writer.EndFragment()
	must(t, err)
	must(t, writer.Seal())
	var audio atomic.Uint32
	u := w.uploader(func(o *Options) { o.Audio = func() Audio { return Audio(audio.Load()) } })
	peek := func(part int) queue.Fragment {
		t.Helper()
		s, ok := u.queue.Peek()
		if !ok || s.Split == nil || s.Part != part || s.Split.Parts() != 4 {
			t.Fatalf("next is %+v, %v, want part %d of 4", s, ok, part)
		}
		return s
	}
	whole, ok := u.queue.Peek()
	if !ok || !u.split(whole) {
		t.Fatalf("%+v cannot be split", whole)
	}
	silent := peek(0)
	u.queue.Take(silent)
	audio.Store(uint32(AudioAll))
	peek(0) // as the session looks for what goes next
	if whole, _ := u.passed(inflight{Fragment: silent}); whole {
		t.Error("one part of four is all of it")
	}
	u.queue.Restart()
	w.want = nil
	for part := range 4 {
		s := peek(part)
		u.queue.Take(s)
		w.want = append(w.want, s.At())
	}
	w.drain(u)
	w.expectOnce()
	w.expectUploaded(0)
	w.expectSounds("G.711", "G.711", "G.711", "G.711")
}

// KVS takes a fragment only with a frame of each track of its session: one of sound alone has none.
func TestAFragmentOfSoundAloneStaysOnTheHub(t *testing.T) {
	t.Parallel()
	for name, place := range map[string]int{"first": 0, "between": 1, "last": 2} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newRig(t, 24, audible())
			writer := w.createWith(muLaw)
			for i := range 3 {
				w.heard(writer, true, i != place)
			}
			must(t, writer.Seal())
			w.drain(w.uploader())
			w.expectOnce()
			w.expectUploaded(1)
			w.expectSounds("", "")
			if n, errs := w.number(health.FragmentsRefused), w.service.Stats(door).Errors; n != 1 || errs != 0 {
				t.Errorf("%d fragments skipped, %d errors of the service", n, errs)
			}
		})
	}
}

// A live upload sends the backlog in between. That the audio of older media is left out says
// nothing about what the camera sends now.
func TestOlderMediaDoesNotBringTheSentenceBack(t *testing.T) {
	t.Parallel()
	w := newRig(t, 24, audible())
	w.recordWith(muLaw)
	w.recordWith(aac)
	stop := w.runLive(w.uploader())
	w.await(len(w.want))
	stop()
	w.expectAll()
	if got := w.store.done(); got[0] == w.want[0] {
		t.Fatal("the oldest went first")
	}
	if w.reports(CodeAudio) || w.sawCondition(CodeAudio, health.UserError) {
		t.Errorf("status says %+v", w.health.Snapshot())
	}
}

func TestADiskThatFailsWhileSoundIsLeftOutCostsNothing(t *testing.T) {
	t.Parallel()
	w := newRig(t, 24, audible())
	w.recordWith(muLaw)
	w.recordWith(muLaw)
	w.cloud.trouble(0, 1, w.tear, nil)
	w.drain(w.uploader())
	w.expectAll()
	w.expectUploaded(0)
	if !w.sawCondition(codeUpload, health.SystemError) {
		t.Error("status did not say that the disk fails")
	}
}

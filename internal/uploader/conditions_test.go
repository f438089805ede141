package uploader

import (
	"context"
	"encoding/binary"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/media"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools/conditiontest"
	"github.com/kvs-edge/kvs-edge-agent/internal/uploader/queue"
)

// conditionRows are the conditions that an uploader reports.
var conditionRows = []conditiontest.Row{
	{Code: "upload", Job: health.JobUploader, Start: uploading("upload", func(w *rig, u *Uploader) (repair func()) {
		w.network.breakDown(func(context.Context) (net.Conn, error) { return nil, syscall.ECONNREFUSED })
		return func() { w.network.breakDown(nil) }
	})},
	{
		Code: "upload-refused", Job: health.JobUploader, Limit: rememberRefused + time.Minute,
		Reason: "a refused fragment is an event; it is shown for a day",
		Start: uploading("upload-refused", func(w *rig, u *Uploader) (repair func()) {
			w.service.Faults().Inject(door, media.ErrorAt(media.AtFragmentStart, 4006).Times(2))
			return w.service.Faults().Clear // on a slow machine one is left
		}),
	},
	{Code: "upload-breaks", Job: health.JobUploader, Start: uploading(codeBreaks, func(w *rig, _ *Uploader) (repair func()) {
		var repaired atomic.Bool
		mark := binary.BigEndian.AppendUint64([]byte{0xE7, 0x88}, uint64(w.want[1]))
		w.filter = func(r io.Reader) io.Reader {
			if repaired.Load() {
				return r
			}
			return &poisonedBody{src: r, marks: [][]byte{mark}, hit: func() {}}
		}
		return func() { repaired.Store(true) }
	})},
	{
		Code: "upload-tags", Job: health.JobUploader, Limit: 2 * firstWithoutTags,
		Reason: "tags that were refused are tried again when they change, and after pauses that grow to a day",
		Start: uploading("upload-tags", func(w *rig, u *Uploader) (repair func()) {
			must(w.t, u.SetTags(someTags))
			w.service.Faults().Inject(door, media.ErrorAt(media.AtFragmentStart, 4009).Times(1))
			return func() {}
		}),
	},
	{Code: codeLength, Job: health.JobUploader, Start: uploading(codeLength, func(w *rig, _ *Uploader) (repair func()) {
		w.film(rand.New(rand.NewPCG(1, 2)), 2, 2)
		w.service.Faults().Inject(door, media.ErrorAt(media.AtFragmentStart, 4002).Skip(4).Times(1))
		return func() {}
	})},
	{Code: "audio-not-uploaded", Job: health.JobUploader, Start: uploading("audio-not-uploaded", func(w *rig, _ *Uploader) (repair func()) {
		w.recordWith(muLaw)
		return func() {} // the camera is set to send none
	})},
	{Code: "upload-disk", Job: health.JobUploader, Limit: queue.UnreadableFor, Reason: "a disk that fails is not worn by more tries",
		Start: uploading("upload-disk", func(w *rig, u *Uploader) (repair func()) {
			files, err := filepath.Glob(filepath.Join(w.dir, door, "*.sealed.mkv"))
			must(w.t, err)
			whole, err := os.ReadFile(files[0])
			must(w.t, err)
			must(w.t, os.Truncate(files[0], 3))
			return func() {
				must(w.t, os.WriteFile(files[0], whole, 0o600))
				w.waited.Store(int64(queue.UnreadableFor))
			}
		})},
}

func TestConditionsEnd(t *testing.T) {
	t.Parallel()
	for _, row := range conditionRows {
		for _, way := range conditiontest.Ways {
			t.Run(row.Code+"/"+string(way), func(t *testing.T) {
				t.Parallel()
				conditiontest.Check(t, row, way)
			})
		}
	}
}

// uploading drains the recordings repeatedly, with the seconds of an injected clock in between, until the condition is
// reported, and until it ends where an upload that continues ends it.
func uploading(code string, arrange func(*rig, *Uploader) (repair func())) func(*testing.T) conditiontest.Case {
	return func(t *testing.T) conditiontest.Case {
		w := newRig(t, 24, roomy)
		w.record(1, 3)
		var passed atomic.Int64
		now := func() time.Time { return begin.Add(time.Duration(passed.Load())) }
		w.health = health.NewRegistry(now)
		build := func() *Uploader { return w.uploader(func(o *Options) { o.Now = now }) }
		u := build()
		repair := arrange(w, u)
		bound := 200 * time.Millisecond // as it continues for as long as the cause lasts
		if slices.Contains([]string{"upload-refused", "upload-tags", codeLength}, code) {
			bound = patience // the cause is one answer, which must not be cut off
		}
		drain := func() {
			ctx, cancel := context.WithTimeout(t.Context(), bound)
			defer cancel()
			_ = u.Drain(ctx) // health has the result
		}
		drainUntil := func(reported bool) {
			drain()
			for end := time.Now().Add(patience); w.reports(code) != reported && time.Now().Before(end); {
				drain()
			}
		}
		repaired, ends := false, slices.Contains([]string{codeUpload, codeBreaks, CodeAudio, codeStore}, code)
		pass := func() {
			w.record(1, 1)
			if drain(); ends && repaired {
				drainUntil(false)
			}
		}
		end := func() { repaired = true; repair() }
		restart := func() {
			u.o.Health.End() // as the end of a job does
			u = build()
		}
		ways := map[conditiontest.Way]func(){conditiontest.Restart: restart, conditiontest.Configuration: restart}
		if code == codeLength { // which only a restart ends
			ways[conditiontest.Success], ways[conditiontest.Reload] = restart, restart
		}
		return conditiontest.Case{
			Health: w.health, Now: now,
			Pass:  func() { passed.Add(int64(30 * time.Minute)); pass() },
			Raise: func() { drainUntil(true) }, Repair: end,
			Ways: ways,
		}
	}
}

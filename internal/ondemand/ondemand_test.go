package ondemand

import (
	"context"
	"errors"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/atomicfile"
	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/kvs"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/hubclock"
	"github.com/kvs-edge/kvs-edge-agent/internal/meter"
	"github.com/kvs-edge/kvs-edge-agent/internal/mkv"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
	"github.com/kvs-edge/kvs-edge-agent/internal/statefile"
	"github.com/kvs-edge/kvs-edge-agent/internal/uploader"
)

// A hub without the cloud says so, and not that it has no such stream.
func TestWhyAStreamCannotBeUploaded(t *testing.T) {
	t.Parallel()
	for noCloud, want := range map[bool]string{true: "AWS_KVS_EDGE_CLOUD is off", false: "no stream door that could be uploaded"} {
		d := Uploads{NoCloud: noCloud}
		for _, err := range []error{
			d.upload(t.Context(), "door", time.Unix(1, 0), time.Unix(2, 0), nil), d.uploadRefused(t.Context(), "door", nil),
		} {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("without the cloud %v: %v, want %q", noCloud, err, want)
			}
		}
	}
}

// A job that is being stopped continues until its fragment is sent. A request that waits for the next job must not
// ask this one repeatedly.
func TestAJobThatEndsIsNotWaitedFor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var d Uploads
		inFlight := make(chan struct{})
		begin := func() (stop func()) {
			ctx, stop := context.WithCancel(t.Context())
			run := d.RegisterWhile("door", nil, func(ctx context.Context) error {
				<-ctx.Done()
				<-inFlight
				return nil
			})
			go func() { _ = run(ctx) }()
			synctest.Wait()
			return stop
		}
		stop := begin()
		stop()
		synctest.Wait()
		found := false
		go func() {
			d.await(t.Context(), "door", time.Hour)
			found = true
		}()
		synctest.Wait()
		if found {
			t.Error("it found the job that ends")
		}
		close(inFlight)
		synctest.Wait()
		if found {
			t.Error("it found a job where there is none")
		}
		defer begin()()
		if !found {
			t.Error("it did not find the next job")
		}
	})
}

// openedCloud says that a session is to be opened, which then fails.
type openedCloud struct{ opened chan struct{} }

func (c openedCloud) PutMedia(context.Context, kvs.PutMediaInput) (*kvs.Session, error) {
	select {
	case c.opened <- struct{}{}:
	default:
	}
	return nil, errors.New("no cloud")
}

func (openedCloud) Retention(context.Context, string) (int, error) { return 24, nil }

func (openedCloud) InvalidateEndpoint(string) {}

func (openedCloud) InvalidateCredentials() {}

// taker is a connection that takes everything.
type taker struct{ net.Conn }

func (taker) Write(p []byte) (int, error) { return len(p), nil }

// Once the cap is reached, a request of a person is refused, and one of the cloud waits until the cap is raised.
func TestARequestOfTheCloudWaitsForTheCap(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	store, err := segment.Open(segment.Options{Dir: filepath.Join(dir, "recordings")})
	must(t, err)
	defer func() { must(t, store.Close()) }()
	from := time.Now().Add(-time.Minute).Truncate(time.Second)
	w, err := store.Create("door", mkv.Header{Start: from, Title: "door", Tracks: []mkv.Track{{
		Number: 1, Kind: mkv.Video, CodecID: mkv.CodecAVC, Width: 640, Height: 480, CodecPrivate: []byte{1, 0x42, 0xC0, 0x1E, 0xFF, 0xE0, 0},
	}}})
	must(t, err)
	must(t, w.BeginFragment(0, true))
	must(t, w.WriteFrame(1, 0, true, [][]byte{{0x65, 1, 2, 3}}))
	_, err = w.EndFragment()
	must(t, err)
	must(t, w.Seal())

	state, err := statefile.Open(filepath.Join(dir, "state"), atomicfile.OS{})
	must(t, err)
	small, err := meter.Parse("1MB/month")
	must(t, err)
	m := meter.Open(meter.Options{Dir: state, Clock: hubclock.New(hubclock.Options{}), Cap: small})
	_, err = m.Count(taker{}).Write(make([]byte, 1_000_000))
	must(t, err)
	cloud := openedCloud{make(chan struct{}, 1)}
	d := Uploads{Cap: m}
	u := uploader.New(uploader.Options{Stream: "door", Store: store, Cloud: cloud, Cap: m})
	ctx, cancel := context.WithCancel(t.Context())
	ready := make(chan struct{})
	ended := make(chan error, 2)
	go func() {
		ended <- d.RegisterWhile("door", u, func(ctx context.Context) error {
			close(ready)
			<-ctx.Done()
			return nil
		})(ctx)
	}()
	<-ready
	until := from.Add(time.Minute)
	err = d.upload(ctx, "door", from, until, func(uploader.Progress) {})
	if fault := new(health.Fault); !errors.As(err, &fault) || fault.Code != meter.CodeReached {
		t.Errorf("a person's request ends with %v", err)
	}
	began := make(chan struct{}, 8)
	go func() {
		ended <- d.ForCloud(ctx, "door", from, until, func(int, int) {
			select {
			case began <- struct{}{}:
			default:
			}
		})
	}()
	<-began // it was counted what is to be sent, which the cap does not allow
	m.Follow(meter.Cap{})
	select {
	case <-cloud.opened:
	case err := <-ended:
		t.Errorf("the cloud's request ended with %v", err)
	}
	cancel()
	<-ended
	<-ended
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

package conn

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/testtools"
)

// patience bounds every wait for an event that must occur.
const patience = time.Minute

// batchedPair connects a connection that reads in batches as soon as it plays with its peer.
func batchedPair(t *testing.T) (near *Conn, far *net.TCPConn, playing *atomic.Bool) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	playing = new(atomic.Bool)
	conn, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	near = &Conn{Conn: conn, Playing: playing, Answer: 10 * time.Second,
		began: time.Now().Add(-AtOnce), Came: func(int) error { return nil }}
	t.Cleanup(func() { _ = near.Close() })
	conn, err = listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return near, conn.(*net.TCPConn), playing
}

func TestBatchingChangesNoByte(t *testing.T) {
	t.Parallel()
	near, far, playing := batchedPair(t)
	sum := make(chan [sha256.Size]byte, 1)
	go func() {
		sent := sha256.New()
		defer func() {
			sum <- [sha256.Size]byte(sent.Sum(nil))
			_ = far.Close()
		}()
		random := rand.New(rand.NewPCG(1, 1))
		chunk := make([]byte, 100_000)
		for i := range 200 {
			for j := range chunk {
				chunk[j] = byte(random.Uint32())
			}
			n := random.IntN(len(chunk)) + 1
			sent.Write(chunk[:n])
			if _, err := far.Write(chunk[:n]); err != nil {
				return
			}
			playing.Store(i > 20)
		}
	}()
	received := sha256.New()
	small := make([]byte, 1500)
	for {
		n, err := near.Read(small)
		received.Write(small[:n])
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if <-sum != [sha256.Size]byte(received.Sum(nil)) {
		t.Error("the bytes differ")
	}
}

func TestBatchingWaitsForNoAmount(t *testing.T) {
	t.Parallel()
	near, far, playing := batchedPair(t)
	playing.Store(true)
	for range 3 { // far less than batchWake
		if _, err := far.Write([]byte("keepalive")); err != nil {
			t.Fatal(err)
		}
		if err := near.SetReadDeadline(time.Now().Add(patience)); err != nil {
			t.Fatal(err)
		}
		got := make([]byte, 100)
		if n, err := near.Read(got); err != nil || string(got[:n]) != "keepalive" {
			t.Fatalf("%q %v", got[:n], err)
		}
	}
}

func TestBatchingHonoursClosing(t *testing.T) {
	t.Parallel()
	near, far, playing := batchedPair(t)
	playing.Store(true)
	context.AfterFunc(t.Context(), func() { _ = far.Close() })
	ended := make(chan error)
	go func() {
		_, err := near.Read(make([]byte, 1))
		ended <- err
	}()
	_ = near.Close()
	if err := <-ended; !errors.Is(err, net.ErrClosed) {
		t.Errorf("after closing: %v", err)
	}
}

// TestTheFirstPictureIsReadAsItComes has a picture in two parts, the second of which arrives after a
// common instant. The machine may pause during an attempt.
func TestTheFirstPictureIsReadAsItComes(t *testing.T) {
	t.Parallel()
	const soon = batchInterval / 2
	best, late := time.Hour, testtools.SchedulingDelay(t)
	for try := 0; best >= soon && (try < 10 || try < 50 && late() >= soon); try++ {
		near, far, playing := batchedPair(t)
		near.began = time.Time{}
		playing.Store(true)
		var sent time.Time
		for range 2 {
			now := time.Now()
			<-time.After(now.Truncate(batchInterval).Add(batchInterval).Sub(now))
			sent = time.Now()
			if _, err := far.Write([]byte("part")); err != nil {
				t.Fatal(err)
			}
			if _, err := near.Read(make([]byte, 100)); err != nil {
				t.Fatal(err)
			}
		}
		best = min(best, time.Since(sent))
	}
	if best >= soon {
		t.Errorf("it is read %s after it arrived", best)
	}
}

func TestBatchingReadsWhatCameBeforeTheEnd(t *testing.T) {
	t.Parallel()
	near, far, playing := batchedPair(t)
	playing.Store(true)
	want := make([]byte, 60_000) // as much as the socket holds
	for i := range want {
		want[i] = byte(i)
	}
	if _, err := near.Write([]byte("unread, so that the end is a reset")); err != nil {
		t.Fatal(err)
	}
	if _, err := far.Write(want); err != nil {
		t.Fatal(err)
	}
	_ = far.Close()
	for range 3 { // the peer is gone, which only reading may report
		if _, err := near.Write([]byte("receiver report")); err != nil {
			t.Fatal(err)
		}
	}
	got := make([]byte, len(want))
	if n, err := io.ReadFull(near, got); err != nil || !bytes.Equal(got, want) {
		t.Fatalf("%d bytes, %v", n, err)
	}
	if _, err := near.Read(got); err == nil {
		t.Error("the end is not reported")
	}
}

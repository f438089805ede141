// Package mediabody is the body of a PutMedia request: the stream's header, then one fragment after the other as they are
// handed over, copied from a file. It knows neither HTTP nor what is in the fragments.
package mediabody

import (
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/supervise"
)

// maxWrite is how many bytes are read from the file and written to the connection at once; it is the
// one buffer that a session always has. Encrypted and framed they are a little less than 128 KiB, which Linux sends in two
// buffers of 64 KiB.
const maxWrite = 124 << 10

// HeadSize is the size in bytes of the Cluster head that is sent before a fragment's bytes from the file, see Body.Send.
const HeadSize = 22

// ErrAborted is why a body ended that its owner gave up.
var ErrAborted = errors.New("the PutMedia session was given up")

// MediaError means that the media could not be read from the hub's disk while it was being sent.
type MediaError struct{ Err error }

// Error says so.
func (e *MediaError) Error() string {
	return "the recorded media cannot be read from the hub's disk: " + e.Err.Error()
}

// Unwrap returns the disk's error.
func (e *MediaError) Unwrap() error { return e.Err }

// Options of a Body.
type Options struct {
	Header []byte                        // what the body begins with
	Pace   func(bytes int) time.Duration // how long bytes must wait before they are sent; nil: they need not
	Most   func() int                    // how many bytes are sent at once; nil: as many as there are
	Failed func(error)                   // is called when the media cannot be read
}

// Line is the connection that a body is written to. It collects what is written between Hold and Flush; each Hold is followed by a
// Flush.
type Line interface {
	Hold()
	Flush() error
}

// Body is the request body of a session. net/http reads it in a goroutine of its own, and waits
// for that goroutine before it reports a broken connection: so a body must end with its session.
type Body struct {
	header []byte
	pace   func(bytes int) time.Duration
	most   func() int
	failed func(error)
	work   chan fragment // the next fragment; capacity 1
	sent   chan struct{} // a fragment is written; capacity 1
	finish func()
	stop   func()
	count  atomic.Int64
	line   atomic.Pointer[Line]

	finished chan struct{}
	stopped  chan struct{}
	closed   chan struct{} // net/http has released the body
	released func()

	// Of net/http's goroutine.
	current *fragment
	buffer  []byte
}

// Media is what follows a fragment's head: a section of a file, or a selection of it.
type Media interface {
	io.Reader
	Size() int64 // how many bytes Read returns in all
}

// fragment is one cluster on its way.
type fragment struct {
	head []byte
	rest Media
	left int64 // of rest
	tail []byte
}

// New returns a body that has nothing to send yet but its header.
func New(o Options) *Body {
	b := &Body{
		header: o.Header, pace: o.Pace, most: o.Most, failed: o.Failed, work: make(chan fragment, 1), sent: make(chan struct{}, 1),
		finished: make(chan struct{}), stopped: make(chan struct{}), closed: make(chan struct{}),
	}
	b.finish = sync.OnceFunc(func() { close(b.finished) })
	b.stop = sync.OnceFunc(func() { close(b.stopped) })
	b.released = sync.OnceFunc(func() { close(b.closed) })
	return b
}

// Send hands over a fragment: head is sent in place of its first bytes in the file, rest is what
// follows, and tail, which may be shared by many fragments and is only read, goes behind it. One at
// a time: the next after Sent has received, or the body was stopped. Until then rest is the body's.
func (b *Body) Send(head [HeadSize]byte, rest Media, tail []byte) {
	select {
	case b.work <- fragment{head: head[:], rest: rest, left: rest.Size(), tail: tail}:
	case <-b.stopped:
	}
}

// Sent receives when the fragment handed over last has been written to the connection. It never does when the body is stopped before.
func (b *Body) Sent() <-chan struct{} { return b.sent }

// Bytes is how many bytes the connection has taken.
func (b *Body) Bytes() int64 { return b.count.Load() }

// Over says what line the body is about to be written to.
func (b *Body) Over(l Line) { b.line.Store(&l) }

// Finish ends the body after what was handed over.
func (b *Body) Finish() { b.finish() }

// Finished is closed by Finish.
func (b *Body) Finished() <-chan struct{} { return b.finished }

// Stop ends the body at once.
func (b *Body) Stop() { b.stop() }

// Closed is closed when net/http has released the body.
func (b *Body) Closed() <-chan struct{} { return b.closed }

// Close implements io.Closer for net/http: it is the last thing that net/http does with the body.
func (b *Body) Close() error {
	b.stop()
	b.released()
	return nil
}

// WriteTo implements io.WriterTo, so that net/http's own buffer of 32 kB is passed by.
func (b *Body) WriteTo(w io.Writer) (int64, error) {
	b.buffer = make([]byte, maxWrite)
	total := int64(0)
	for {
		n, err := b.Read(b.buffer)
		if n > 0 {
			if err := b.write(w, b.buffer[:n]); err != nil {
				return total, err
			}
			total += int64(n)
			b.count.Add(int64(n))
		}
		switch err {
		case nil:
		case io.EOF:
			return total, nil
		default:
			return total, err
		}
	}
}

// write writes p by one call of the line below, if there is one.
func (b *Body) write(w io.Writer, p []byte) error {
	line := b.line.Load()
	if line == nil {
		_, err := w.Write(p)
		return err
	}
	(*line).Hold()
	_, err := w.Write(p)
	if flushed := (*line).Flush(); err == nil {
		err = flushed
	}
	return err
}

// Read returns the next bytes and blocks until there are some. Being called again means that the previous
// ones are written. A panic ends the session, as in net/http's goroutine it would end the process.
func (b *Body) Read(p []byte) (n int, err error) {
	panicked := true
	err = supervise.Do("An upload", func() (err error) {
		n, err = b.read(p)
		panicked = false
		return err
	})
	if panicked {
		b.failed(err)
		return 0, err
	}
	return n, err
}

func (b *Body) read(p []byte) (int, error) {
	if b.most != nil {
		p = p[:max(1, min(len(p), b.most()))]
	}
	if len(b.header) > 0 {
		n := copy(p, b.header)
		b.header = b.header[n:]
		return b.paced(n)
	}
	if b.current != nil && b.current.done() {
		b.current = nil
		b.sent <- struct{}{} // never blocks: Send takes it before the next fragment comes
	}
	if b.current == nil {
		select {
		case <-b.stopped:
			return 0, ErrAborted
		default:
		}
		select {
		case f := <-b.work:
			b.current = &f
		case <-b.stopped:
			return 0, ErrAborted
		case <-b.finished:
			select {
			case f := <-b.work: // handed over before the end
				b.current = &f
			default:
				return 0, io.EOF
			}
		}
	}
	n := copy(p, b.current.head)
	b.current.head = b.current.head[n:]
	if rest := int(min(int64(len(p)-n), b.current.left)); rest > 0 {
		read, err := io.ReadFull(b.current.rest, p[n:n+rest])
		b.current.left -= int64(read)
		if err != nil {
			b.failed(&MediaError{Err: err})
			return 0, err
		}
		n += read
	}
	if b.current.left == 0 {
		more := copy(p[n:], b.current.tail)
		b.current.tail = b.current.tail[more:]
		n += more
	}
	return b.paced(n)
}

// done reports whether all of the fragment was read.
func (f *fragment) done() bool { return len(f.head) == 0 && f.left == 0 && len(f.tail) == 0 }

// paced holds the bytes back until the pace allows them.
func (b *Body) paced(n int) (int, error) {
	if b.pace == nil {
		return n, nil
	}
	d := b.pace(n)
	if d <= 0 {
		return n, nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return n, nil
	case <-b.stopped:
		return 0, ErrAborted
	}
}

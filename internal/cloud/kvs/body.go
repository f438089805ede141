package kvs

import (
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/supervise"
)

// maxWrite is how many bytes are read from the file and written to the connection at once; it is the
// one buffer of a session.
const maxWrite = 128 << 10

// HeadSize is the size in bytes of the Cluster head that is sent before a fragment's bytes from the file, see Session.Send.
const HeadSize = 22

// body is the request body of a session. net/http reads it in a goroutine of its own, and waits
// for that goroutine before it reports a broken connection: so a body must end with its session.
type body struct {
	header []byte                        // what the body begins with
	pace   func(bytes int) time.Duration // see PutMediaInput.Pace
	most   func() int                    // see PutMediaInput.WriteSize; nil = as much as there is
	work   chan fragment                 // the next fragment; capacity 1
	sent   chan struct{}                 // a fragment is written; capacity 1
	finish func()                        // ends the body in good order
	stop   func()                        // ends it at once
	failed func(error)                   // called when the media cannot be read
	count  atomic.Int64                  // bytes that the connection took

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

func newBody(header []byte, pace func(int) time.Duration) *body {
	b := &body{
		header: header, pace: pace, work: make(chan fragment, 1), sent: make(chan struct{}, 1),
		finished: make(chan struct{}), stopped: make(chan struct{}), closed: make(chan struct{}),
	}
	b.finish = sync.OnceFunc(func() { close(b.finished) })
	b.stop = sync.OnceFunc(func() { close(b.stopped) })
	b.released = sync.OnceFunc(func() { close(b.closed) })
	return b
}

// Close implements io.Closer for net/http: it is the last thing that net/http does with the body.
func (b *body) Close() error {
	b.stop()
	b.released()
	return nil
}

// WriteTo implements io.WriterTo, so that net/http's own buffer of 32 kB is passed by.
func (b *body) WriteTo(w io.Writer) (int64, error) {
	b.buffer = make([]byte, maxWrite)
	total := int64(0)
	for {
		n, err := b.Read(b.buffer)
		if n > 0 {
			wrote, err := w.Write(b.buffer[:n])
			total += int64(wrote)
			if err != nil {
				return total, err
			}
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

// Read returns the next bytes and blocks until there are some. Being called again means that the previous
// ones are written. A panic ends the session, as in net/http's goroutine it would end the process.
func (b *body) Read(p []byte) (n int, err error) {
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

func (b *body) read(p []byte) (int, error) {
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
func (b *body) paced(n int) (int, error) {
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

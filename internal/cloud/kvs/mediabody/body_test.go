package mediabody_test

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/kvs/mediabody"
)

// TestFragmentsAreSentInOrder has a body written out while its fragments are handed over, each once the previous one is sent.
func TestFragmentsAreSentInOrder(t *testing.T) {
	t.Parallel()
	for name, most := range map[string]func() int{"as much as there is": nil, "three bytes at once": func() int { return 3 }} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := mediabody.New(mediabody.Options{Header: []byte("header."), Most: most, Failed: func(err error) { t.Error(err) }})
			want := "header."
			go func() {
				for _, media := range []string{"first", "", strings.Repeat("long", 100_000)} {
					b.Send(headOf('h'), section(media), []byte(".tail."))
					<-b.Sent()
				}
				b.Finish()
			}()
			for _, media := range []string{"first", "", strings.Repeat("long", 100_000)} {
				want += strings.Repeat("h", mediabody.HeadSize) + media + ".tail."
			}
			var got bytes.Buffer
			n, err := b.WriteTo(&got)
			if err != nil || got.String() != want || n != int64(len(want)) || b.Bytes() != n {
				t.Errorf("%d bytes of %d, %v", n, len(want), err)
			}
		})
	}
}

// TestABodyEndsWithItsMedia has the disk fail in the middle of a fragment.
func TestABodyEndsWithItsMedia(t *testing.T) {
	t.Parallel()
	var failed error
	b := mediabody.New(mediabody.Options{Failed: func(err error) { failed = err }})
	broken := errors.New("the disk is broken")
	b.Send(headOf('h'), sized{io.MultiReader(strings.NewReader("half"), iotest.ErrReader(broken)), 8}, nil)
	_, err := b.WriteTo(io.Discard)
	var media *mediabody.MediaError
	if !errors.As(failed, &media) || !errors.Is(failed, broken) || !errors.Is(err, broken) {
		t.Errorf("%v, %v", failed, err)
	}
}

// TestAStoppedBodyWaitsForNothing stops one that waits for a fragment.
func TestAStoppedBodyWaitsForNothing(t *testing.T) {
	t.Parallel()
	b := mediabody.New(mediabody.Options{})
	ended := make(chan error)
	go func() {
		_, err := b.WriteTo(io.Discard)
		ended <- err
	}()
	b.Stop()
	if err := <-ended; !errors.Is(err, mediabody.ErrAborted) {
		t.Error(err)
	}
	b.Send(headOf('h'), section(""), nil)
	b.Send(headOf('h'), section(""), nil) // neither waits
	if err := b.Close(); err != nil {
		t.Error(err)
	}
	<-b.Closed()
}

func headOf(c byte) (head [mediabody.HeadSize]byte) {
	copy(head[:], bytes.Repeat([]byte{c}, len(head)))
	return head
}

func section(media string) mediabody.Media {
	return io.NewSectionReader(strings.NewReader(media), 0, int64(len(media)))
}

// sized is media that says how long it is.
type sized struct {
	io.Reader
	size int64
}

func (s sized) Size() int64 { return s.size }

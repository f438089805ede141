package camera

import (
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// TestInjectedFramesComeBetweenElements has a reader of a connection get frames that came elsewhere, whole, while it waits.
func TestInjectedFramesComeBetweenElements(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	ours, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer ours.Close()
	theirs, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer theirs.Close()
	playing, direct := new(atomic.Bool), new(atomic.Bool)
	playing.Store(true)
	direct.Store(true)
	c := &batchConn{
		Conn: ours, playing: playing, direct: direct, answer: patience, came: func(int) error { return nil },
		tap: &tap{mend: func(message []byte) []byte { return message }},
	}
	got := make(chan string, 100)
	go func() {
		buffer := make([]byte, 3) // less than any of them
		for {
			n, err := c.Read(buffer)
			if err != nil {
				close(got)
				return
			}
			got <- string(buffer[:n])
		}
	}()
	expect := func(want string) {
		t.Helper()
		text := ""
		for len(text) < len(want) {
			select {
			case part, ok := <-got:
				if !ok {
					t.Fatalf("the connection ended after %q", text)
				}
				text += part
			case <-time.After(patience):
				t.Fatalf("%q came, want %q", text, want)
			}
		}
		if text != want {
			t.Fatalf("%q came, want %q", text, want)
		}
	}
	c.inject(2, []byte("hello")) // maybe before it waits
	expect("$\x02\x00\x05hello")
	for range 20 { // and maybe just then
		c.inject(3, []byte("again"))
		expect("$\x03\x00\x05again")
	}
	const message = "RTSP/1.0 200 OK\r\nCSeq: 1\r\n\r\n"
	if _, err := io.WriteString(theirs, message[:10]); err != nil {
		t.Fatal(err)
	}
	c.inject(2, []byte("in between"))
	expect("$\x02\x00\x0ain between") // a message begins when it is there
	if _, err := io.WriteString(theirs, message[10:]); err != nil {
		t.Fatal(err)
	}
	expect(message)
	c.inject(2, []byte(strings.Repeat("x", 1<<16))) // no frame can have it
	c.inject(2, []byte("last"))
	expect("$\x02\x00\x04last")
	_ = theirs.Close()
	for range got {
	}
}

// TestInjectedFramesAreBounded has nobody read.
func TestInjectedFramesAreBounded(t *testing.T) {
	t.Parallel()
	var i injection
	for range 100 {
		i.add(0, make([]byte, 60_000))
	}
	if n := len(i.waiting); n < maxInjected-120_000 || n > maxInjected+120_000 {
		t.Errorf("%d bytes wait", n)
	}
}

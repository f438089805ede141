package main

import (
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestATerminalShowsWhatIsAwaitedAndForHowLong(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var out strings.Builder
		w := &waiting{out: &out, width: 60}
		stop := w.run()
		cameras := w.begin("the cameras")
		camera := w.begin("the camera at 192.0.2.7:554")
		time.Sleep(8*time.Second + time.Millisecond)
		w.print(func(out io.Writer) { _, _ = io.WriteString(out, "✔ door\n") })
		camera()
		time.Sleep(time.Second)
		cameras()
		stop()
		for _, want := range []string{
			"\rwaiting for the camera at 192.0.2.7:554 (1 s)" + eraseLine, "(8 s)" + eraseLine + "\r" + eraseLine + "✔ door\n",
			"\rwaiting for the cameras (9 s)",
		} {
			if !strings.Contains(out.String(), want) {
				t.Errorf("%q lacks %q", out.String(), want)
			}
		}
		if !strings.HasSuffix(out.String(), "\r"+eraseLine) || strings.Contains(out.String(), "(0 s)") {
			t.Errorf("the line stays: %q", out.String())
		}
	})
}

package web

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/kvs-edge/kvs-edge-agent/internal/localapi"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools/chromium"
)

// check finds that something is wrong, and the second time waits until its peer leaves.
func (r *rig) check(ctx context.Context, each func(localapi.CheckProgress)) error {
	again := strings.Contains(r.done(), "check")
	r.note("check")
	each(localapi.CheckProgress{Check: "clock", OK: true, Text: "The hub's clock agrees."})
	each(localapi.CheckProgress{Waiting: "the camera at 10.0.0.8"})
	if again {
		<-ctx.Done()
		r.note("left")
		return errors.New("nobody listens")
	}
	each(localapi.CheckProgress{Check: "camera", Stream: "yard", Text: "Nobody answers: <b>check</b> its power."})
	each(localapi.CheckProgress{Finished: true})
	return nil
}

func TestTheHubIsCheckedFromThePage(t *testing.T) {
	t.Parallel()
	r := newRig(t).await()
	b := chromium.New(t)
	r.open(b, "operate", "/settings", "#settings td")
	b.Run(chromedp.Click(chromedp.CSS("#check")))
	b.WantText("#check-state", "Something is wrong: see the lines that are marked.")
	b.WantText("#check-results", "good", "clock", "The hub's clock agrees.", "wrong", "yard", "<b>check</b> its power.")
	b.Run(chromedp.Click(chromedp.CSS("#check")))
	b.WantText("#check-state", "Waiting for the camera at 10.0.0.8.")
	b.Run(chromedp.Click(chromedp.CSS("#check-stop")))
	b.WantText("#check-state", "The check was stopped")
	r.stop() // also waits for the request
	if got := r.done(); got != "check\ncheck\nleft" {
		t.Errorf("the local API did %q", got)
	}
}

func TestAViewerChecksNothing(t *testing.T) {
	t.Parallel()
	r := newRig(t).await()
	r.signedIn("view").want(http.StatusForbidden, http.MethodPost, "/v1/check", "")
	b := chromium.New(t)
	r.open(b, "view", "/settings", "#settings td")
	b.WantText("#check-rights", "sign in with the role operate")
	b.Run(chromedp.WaitNotVisible(chromedp.CSS("#check")))
	if got := r.done(); got != "" {
		t.Errorf("the local API did %q", got)
	}
}

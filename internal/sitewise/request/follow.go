package request

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/backoff"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/supervise"
)

// aheadEvery is how often what is recorded meanwhile is sent of a request that ends in the future.
const aheadEvery = 30 * time.Second

// maxDetails bounds the details of an answer, in runes.
const maxDetails = 1000

// follow uploads a range beside everything else.
func (r *Requests) follow(ctx context.Context, a arrival, stream string, w wanted) {
	one := &Request{Stream: stream, Asset: a.Asset, Request: shown(a.Text), Time: a.Time, Status: Running}
	r.show(one)
	r.uploads.Go(func() {
		err := supervise.Do("An upload requested over SiteWise", func() error { return r.upload(ctx, one, w) })
		if ctx.Err() != nil {
			return // the next start continues it
		}
		details, class := r.tooOld(w), health.UserError
		r.mu.Lock()
		one.Status = Done
		if err != nil {
			fault := health.FaultOf(err, codeRequest)
			one.Status, class = Failed, fault.Class
			details = strings.TrimSpace(health.Clean(fault.Text, maxDetails) + " " + details)
		}
		one.Details = details
		r.mu.Unlock()
		r.answer(one, class)
		r.ends(a)
	})
}

// upload uploads a range to its end, which may be in the future.
func (r *Requests) upload(ctx context.Context, one *Request, w wanted) error {
	for {
		now := r.o.Now()
		// A fragment that was being recorded at the end is complete a while later.
		ahead := w.to.Add(r.o.Recorded).Sub(now)
		to := w.to
		if now.Before(to) {
			to = now
		}
		var err error
		if w.from.Before(to) {
			err = r.o.Upload(ctx, one.Stream, w.from, to, func(done, total int) {
				r.mu.Lock()
				one.Done, one.Total = done, total
				r.mu.Unlock()
			})
		}
		if ahead <= 0 {
			return err
		}
		if err != nil && !isEmpty(err) {
			return err
		}
		if err := backoff.Sleep(ctx, min(ahead, aheadEvery)); err != nil {
			return err
		}
	}
}

// isEmpty reports whether an upload found nothing, which may still be recorded where the request ends in the future. Every other
// fault has another code, or another class.
func isEmpty(err error) bool {
	var fault *health.Fault
	return errors.As(err, &fault) && fault.Class == health.UserError
}

// tooOld says what does not follow from the upload of a range in SiteWise; empty: nothing.
func (r *Requests) tooOld(w wanted) string {
	if !w.from.Before(r.o.Now().Add(-writable)) {
		return ""
	}
	return "AWS IoT SiteWise takes no values that are older than 7 days, so its player does not show what was recorded before; the stream " +
		"has it."
}

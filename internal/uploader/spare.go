package uploader

import (
	"context"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/uploader/queue"
)

// Rests reports whether the stream is uploaded on request only, and nobody requests anything of it.
func (u *Uploader) Rests() bool { return u.resting.Load() && !u.lock.requested() }

// Spare sends one fragment that nobody asked for, while the uploader rests: a request ends it, but for what is on the line already. For
// the cap of the line it is backlog. It tries once, and its error is a *health.Fault, which is not reported otherwise.
func (u *Uploader) Spare(ctx context.Context, f queue.Fragment) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	asked, stop := u.lock.asked.Watch()
	defer stop()
	if u.lock.lock(ctx) != nil {
		return nil
	}
	defer u.lock.ended.Set() // what is complete now is noted as uploaded, and what failed is forgotten
	defer u.lock.unlock()
	if !u.Rests() {
		return nil
	}
	ended := make(chan struct{})
	defer close(ended)
	go func() {
		select {
		case <-asked:
			cancel()
		case <-ended:
		}
	}()
	var failed error
	u.report.aside = func(f *health.Fault) {
		failed = f
		cancel()
	}
	defer func() { u.report.aside = nil }()
	only := f.ID()
	err := u.upload(ctx, mode{
		drain: true, onDemand: true, spare: true, from: f.Began(), to: f.Began().Add(time.Millisecond),
		without:   func(id queue.ID) bool { return id != only },
		stepAside: func() bool { return false }, // who is urgent has asked, which ends this
	})
	switch {
	case failed != nil:
		return failed
	case ctx.Err() != nil:
		return nil
	}
	return err
}

// Package supervise keeps a panic where it happened. A goroutine that panics ends the process, and with
// it the recording of every camera; a panic of a supervised goroutine becomes a failure with a
// sentence instead. It must not know what it supervises.
//
// It cannot handle two cases: a panic in a goroutine of a library, which ends the process, and a
// lock that was held and is never released, which the watchdog finds. Both times systemd restarts
// the agent, and nothing that was recorded is lost.
package supervise

import (
	"context"
	"fmt"
	"runtime/debug"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/backoff"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/logevent"
)

// Code is the condition of a panic.
const Code = "internal-error"

// Do runs f; a panic becomes a *health.Fault. what is for people: "The uploader of stream door".
func Do(what string, f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = health.SystemFault(Code, PanicError(p),
				"%s was stopped by an internal error; it is restarted. Please report it with the log.", what)
		}
	}()
	return f()
}

// PanicError makes an error of what recover returned, with the stack, for the log. Only the deferred
// function that recovered, and what it calls, still see the stack of the panic.
func PanicError(value any) error { return fmt.Errorf("panic: %v\n%s", value, debug.Stack()) }

// Options say what Keep keeps and where it reports. Only Pause may be left out.
type Options struct {
	What      string // for people, see Do
	Component *health.Component
	Log       *zap.Logger
	// Pause is between two starts. Default: that of package backoff.
	Pause backoff.Policy
}

// Keep runs a part of the agent that is to live as long as ctx. One that panics is restarted after
// a pause, which grows while that is repeated. It returns what run returns.
func Keep(ctx context.Context, o Options, run func(context.Context) error) error {
	pause := backoff.New(o.Pause)
	scope := health.Scope("guard/" + o.What) // a part may have several guards
	for {
		panicked := true
		err := Do(o.What, func() error {
			ctx, cancel := context.WithCancel(ctx)
			defer cancel() // what run began ends with it
			err := run(ctx)
			panicked = false
			return err
		})
		if !panicked {
			return err
		}
		fault := health.FaultOf(err, Code)
		if o.Component.Report(scope, health.Failed, fault) {
			logevent.Condition(o.Log, fault)
		}
		if pause.Wait(ctx) != nil {
			return ctx.Err()
		}
		o.Component.OK(scope)
	}
}

package connector

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iotsitewise"
	"github.com/aws/aws-sdk-go-v2/service/kinesisvideo"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/awserr"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
)

const (
	// callTimeout bounds one call, with all of the SDK's retries.
	callTimeout = 30 * time.Second
	// patience bounds the wait until something that was made can be used, and pause is the time between two probes.
	patience = 2 * time.Minute
	pause    = time.Second
)

// Step is something that was found, made or changed, or in a dry run would be.
type Step struct {
	Kind string // secret, stream, asset model, hub, camera
	Name string
	Done string // a clause: "exists", "made"
}

// Options of a Setup.
type Options struct {
	DryRun bool
	// Tell is called with each step. Required.
	Tell func(Step)
	// Now is the wall clock, for the times of values. Default time.Now.
	Now func() time.Time
}

// Setup makes what a plan says, with the rights of the user. What exists is not made again.
type Setup struct {
	sitewise *iotsitewise.Client
	kvs      *kinesisvideo.Client
	secrets  *secretsmanager.Client
	o        Options
}

// New returns a Setup with the credentials, the region and the addresses of cfg.
func New(cfg aws.Config, o Options) *Setup {
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Setup{sitewise: iotsitewise.NewFromConfig(cfg, plainHost), kvs: kinesisvideo.NewFromConfig(cfg),
		secrets: secretsmanager.NewFromConfig(cfg), o: o}
}

// plainHost stops the SDK from putting the name of the plane before an address that somebody set, which cannot have one before it.
func plainHost(o *iotsitewise.Options) {
	if o.BaseEndpoint == nil {
		return
	}
	o.APIOptions = append(slices.Clone(o.APIOptions), func(stack *middleware.Stack) error {
		return stack.Initialize.Add(middleware.InitializeMiddlewareFunc("PlainHost", func(ctx context.Context, in middleware.InitializeInput,
			next middleware.InitializeHandler) (middleware.InitializeOutput, middleware.Metadata, error) {
			return next.HandleInitialize(smithyhttp.DisableEndpointHostPrefix(ctx, true), in)
		}), middleware.Before)
	})
}

// Run makes what the plan says, and returns the id of the hub's asset: empty in a dry run before it is made. What fails of one camera keeps
// no other one from being made; the error then names all that failed.
func (s *Setup) Run(ctx context.Context, p Plan) (hubAsset string, err error) {
	m, err := s.findModels(ctx, p.Hub)
	if err != nil {
		return "", err
	}
	hub, err := s.hub(ctx, p, m.hub)
	if err != nil {
		return "", err
	}
	known, err := s.cameraAssets(ctx, hub, m)
	if err != nil {
		return hub.id, err
	}
	var failed []error
	for _, c := range p.Cameras {
		if err := s.camera(ctx, p, c, hub, m, known); err != nil {
			failed = append(failed, fmt.Errorf("camera %s: %w", shown(c.Name), err))
		}
		if ctx.Err() != nil {
			return hub.id, context.Cause(ctx)
		}
	}
	return hub.id, errors.Join(failed...)
}

// camera makes all of one camera.
func (s *Setup) camera(ctx context.Context, p Plan, c Camera, hub asset, m models, known map[string]asset) error {
	name := c.Secret
	if name == "" {
		arn, err := s.secret(ctx, p.Hub, c)
		if err != nil {
			return err
		}
		name = arn
	}
	if err := s.stream(ctx, p, c); err != nil {
		return err
	}
	a, exists := known[c.Name]
	var err error
	if !exists {
		if a, err = s.makeAsset(ctx, "camera", c.Name, p.Workspace, m.camera); err != nil {
			return err
		}
	} else {
		s.note("camera", c.Name, "exists")
		if err := s.tagAsset(ctx, "camera", a, p.Workspace); err != nil {
			return err
		}
	}
	if err := s.values(ctx, "camera", a, c.wanted(name)); err != nil {
		return err
	}
	if err := s.notify(ctx, a); err != nil {
		return err
	}
	if exists && a.child {
		return nil
	}
	return s.do("camera", c.Name, "put below the hub "+shown(p.Hub), func() error {
		_, err := call(ctx, "iotsitewise:AssociateAssets", "the camera", s.sitewise.AssociateAssets,
			&iotsitewise.AssociateAssetsInput{AssetId: &hub.id, ChildAssetId: &a.id,
				HierarchyId: &m.hierarchy})
		return err
	})
}

// do does a step and reports it; in a dry run it only reports it.
func (s *Setup) do(kind, name, done string, step func() error) error {
	if s.o.DryRun {
		s.o.Tell(Step{kind, shown(name), "would be " + done})
		return nil
	}
	if err := step(); err != nil {
		return err
	}
	s.o.Tell(Step{kind, shown(name), done})
	return nil
}

// note reports a finding.
func (s *Setup) note(kind, name, what string) { s.o.Tell(Step{kind, shown(name), what}) }

// shown is a name from outside as it is shown.
func shown(name string) string { return health.Clean(name, health.MaxPart) }

// call makes a request and says in a sentence what its failure means. about is what it is about.
func call[In, Out, Options any](ctx context.Context, action, about string,
	request func(context.Context, *In, ...func(*Options)) (*Out, error), in *In,
) (*Out, error) {
	return bounded(ctx, action, about, func(ctx context.Context) (*Out, error) { return request(ctx, in) })
}

// nextPage is call for the next page of a list.
func nextPage[Out, Options any](ctx context.Context, action, about string, request func(context.Context, ...func(*Options)) (*Out, error),
) (*Out, error) {
	return bounded(ctx, action, about, func(ctx context.Context) (*Out, error) { return request(ctx) })
}

func bounded[Out any](ctx context.Context, action, about string, request func(context.Context) (*Out, error)) (*Out, error) {
	limited, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	out, err := request(limited)
	switch {
	case err == nil:
		return out, nil
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	}
	return nil, &callError{action: action, about: about, err: err, meaning: awserr.Of(err)}
}

// callError is a request that failed.
type callError struct {
	action, about string
	err           error
	meaning       awserr.Error
}

// Unwrap returns the SDK's error.
func (e *callError) Unwrap() error { return e.err }

// Error says what failed, and what to do.
func (e *callError) Error() string {
	about := shown(e.about)
	var fault *health.Fault
	switch m := e.meaning; {
	case errors.As(e.err, &fault):
		return fmt.Sprintf("%s failed for %s: %s", e.action, about, fault.Text)
	case m.RightMissing():
		return fmt.Sprintf("these credentials may not call %s for %s: allow it, or use others (AWS_PROFILE)", m.Permission(e.action), about)
	case m.CredentialsRefused():
		return fmt.Sprintf("%s refuses the credentials: renew them, or use others (AWS_PROFILE), and check the clock of this machine", e.action)
	case m.Kind == awserr.Unreachable && m.Status == 0:
		return fmt.Sprintf("%s for %s was not answered (%s): check the credentials, AWS_REGION and the connection to the internet",
			e.action, about, health.Clean(lastOf(e.err).Error(), health.MaxPart))
	case m.Kind == awserr.Limit:
		return fmt.Sprintf("a quota of the account is reached by %s for %s: %s", e.action, about, m.Message)
	case m.Message == "":
		return fmt.Sprintf("%s for %s was answered with HTTP status %d %s", e.action, about, m.Status, m.Name)
	default:
		return fmt.Sprintf("%s for %s was answered with HTTP status %d %s: %s", e.action, about, m.Status, m.Name, m.Message)
	}
}

// lastOf is the cause at the end of an error's chain, without the operations around it.
func lastOf(err error) error {
	for next := errors.Unwrap(err); next != nil; next = errors.Unwrap(err) {
		err = next
	}
	return err
}

func isKind(err error, kind awserr.Kind) bool {
	var e *callError
	return errors.As(err, &e) && e.meaning.Kind == kind
}

// await waits until something is in a state in which it can be used. It fails in each of the states failed.
func (s *Setup) await(ctx context.Context, about string, probe func() (state string, done bool, err error), failed ...string) error {
	end := time.NewTimer(patience)
	defer end.Stop()
	for {
		state, done, err := probe()
		switch {
		case err != nil || done:
			return err
		case slices.Contains(failed, state):
			return fmt.Errorf("%s cannot be used, as it is %s: delete it, or wait until it is deleted, and try again", shown(about), state)
		}
		next := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			next.Stop()
			return context.Cause(ctx)
		case <-end.C:
			next.Stop()
			return fmt.Errorf("%s is %s after %s: try again later", shown(about), state, patience)
		case <-next.C:
		}
	}
}

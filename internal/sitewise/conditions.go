package sitewise

import (
	"errors"
	"strings"

	cloud "github.com/kvs-edge/kvs-edge-agent/internal/cloud/sitewise"

	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/awserr"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/humanize"
	"github.com/kvs-edge/kvs-edge-agent/internal/logevent"
)

// The codes of the conditions.
const (
	codeHub    = "sitewise"        // the hub's asset and its cameras cannot be read, or there are none
	codeCamera = "sitewise-camera" // what is wrong with a camera asset, whose name follows after a slash
	codeState  = "sitewise-state"  // the last good values on disk
)

// The scopes; each camera has two of its own too.
const (
	scopeHub   health.Scope = "sitewise"
	scopeState health.Scope = "sitewise-state"
	scopeMore  health.Scope = "sitewise-more" // the cameras beyond mostShown
)

func cameraScope(id string) health.Scope { return health.Scope(codeCamera + "/" + id) }
func noteScope(id string) health.Scope   { return health.Scope(codeCamera + "-note/" + id) }

// cameraCode is the code of a camera's condition. Everybody who may write to SiteWise can choose its name.
func cameraCode(name, id string) string {
	if name == "" {
		name = id
	}
	return codeCamera + "/" + health.Clean(name, health.MaxPart)
}

// report sets the condition of a scope, and logs it when it is new.
func (s *Source) report(scope health.Scope, severity health.Severity, fault *health.Fault) {
	if s.o.Health.Report(scope, severity, fault) {
		logevent.Condition(s.o.Log, fault)
	}
}

// WhyOf says why SiteWise could not be read: the hub, or a camera.
func WhyOf(err error) *health.Fault {
	var fault *health.Fault
	if errors.As(err, &fault) {
		return fault
	}
	var e *cloud.Error
	if !errors.As(err, &e) {
		return health.SystemFault(codeHub, err, "AWS IoT SiteWise cannot be read: %v.", err)
	}
	switch m := e.Meaning; {
	case m.RightMissing():
		return health.UserFault(codeHub, err, "The hub's role may not read AWS IoT SiteWise: allow it %s.", e.Right())
	case m.Kind == awserr.NotFound:
		return health.UserFault(codeHub, err, "AWS IoT SiteWise has no asset %s in this account and region: correct %s, or AWS_REGION.",
			e.Asset, Setting)
	case m.CredentialsRefused():
		return health.SystemFault(codeHub, err, "AWS IoT SiteWise refuses the hub's credentials: check the role and the hub's clock.")
	case m.Kind == awserr.Unreachable:
		return health.SystemFault(codeHub, err, "AWS IoT SiteWise cannot be reached: check the hub's internet connection and firewall "+
			"(port 443).")
	case m.Status >= 400 && m.Status < 500 && m.Kind != awserr.Throttled:
		return health.UserFault(codeHub, err, "AWS IoT SiteWise refuses %s of %s: %s. Correct %s.", e.Operation, e.Asset,
			strings.TrimSuffix(m.Message, "."), Setting)
	default:
		return health.SystemFault(codeHub, err, "AWS IoT SiteWise answers %s with HTTP status %d %s; the agent keeps trying.", e.Operation,
			m.Status, m.Name)
	}
}

// reportRead reports that the assets cannot be read, and what stays in force meanwhile.
func (s *Source) reportRead(err error) {
	if err == nil {
		if s.failing {
			logevent.SiteWiseRecovered.Log(s.o.Log)
		}
		s.failing = false
		return // reportCameras ends the condition
	}
	s.failing = true
	why := WhyOf(err)
	meanwhile := "No camera of it is known."
	if n := len(s.owners); n > 0 {
		meanwhile = "Its " + humanize.Count(n, "camera") + " stay as they were read last."
	}
	s.report(scopeHub, health.Degraded, why.Recode(codeHub, why.Text+" "+meanwhile))
}

// mostShown is how many cameras that are wrong have a condition of their own.
const mostShown = 20

// reportCameras reports what is wrong with each camera, and that there are none.
func (s *Source) reportCameras() {
	if len(s.cameras) == 0 {
		s.report(scopeHub, health.Info, health.UserFault(codeHub, nil, "The asset %s of AWS IoT SiteWise has no cameras below it: associate "+
			"camera assets with it, and they are recorded within a minute or so.", s.o.Hub))
	} else {
		s.o.Health.OK(scopeHub)
	}
	shown, more := 0, 0
	for _, id := range s.sorted() {
		c := s.cameras[id]
		text := c.fault(id)
		switch {
		case text == "":
			s.o.Health.OK(cameraScope(id))
		case shown < mostShown:
			shown++
			s.report(cameraScope(id), health.Degraded, health.UserFault(cameraCode(c.good.Name, id), nil, "%s", text))
		default:
			more++
			s.o.Health.OK(cameraScope(id))
		}
		s.reportNotes(id, c)
	}
	if more == 0 {
		s.o.Health.OK(scopeMore)
		return
	}
	s.report(scopeMore, health.Degraded, health.UserFault(codeCamera, nil, "%s more of AWS IoT SiteWise cannot be followed: correct those "+
		"that are shown, and these are shown then; `kvs-edge-agent check` names all.", humanize.Count(more, "camera asset")))
}

// fault is what is wrong with a camera, as a sentence; empty: nothing.
func (c *camera) fault(id string) string {
	name := health.Clean(c.good.Name, maxShown) + " (" + id + ")"
	var clauses []string
	for _, w := range c.wrong {
		clauses = append(clauses, w.String())
	}
	stays := ""
	if c.good.ID != "" {
		stays = ", and its values of before stay in force for stream " + c.wanted.Stream
	}
	switch {
	case c.problem != "":
		return "The camera asset " + strings.TrimSpace(name) + " cannot be read" + stays + ": " + c.problem
	case len(c.wrong) > 0:
		if stays == "" {
			stays = ", and it is not recorded"
		}
		return "The camera asset " + name + " is wrong" + stays + ": " + strings.Join(clauses, "; ") + "."
	case c.twin != "":
		return "The camera asset " + name + " is not recorded: " + StreamName + " is " + c.wanted.Stream + ", as that of the asset " +
			health.Clean(c.twin, maxShown) + ": give each camera a stream of its own."
	}
	return ""
}

// reportNotes reports what is followed in another way than it is written.
func (s *Source) reportNotes(id string, c *camera) {
	notes := c.wanted.Notes
	if c.good.ID == "" || len(c.wrong) > 0 || len(notes) == 0 {
		s.o.Health.OK(noteScope(id))
		return
	}
	s.report(noteScope(id), health.Info, health.UserFault(cameraCode(c.good.Name, id), nil, "Of the camera asset %s: %s.", c.good.Name,
		strings.Join(notes, "; ")))
}

package iotconfig

// topics of one thing.
type topics struct {
	update, delete, refresh, configStatus, jobsStatus, agentStatus    string
	uploadRequest, uploadStatus, event, eventStatus, hold, holdStatus string
}

func topicsOf(thing string) topics {
	prefix := "kvs-edge/" + thing + "/"
	return topics{
		update:       prefix + "config/update",
		delete:       prefix + "config/delete",
		refresh:      prefix + "config/refresh",
		configStatus: prefix + "config/status",
		jobsStatus:   prefix + "jobs/status",
		agentStatus:  prefix + "agent/status",

		uploadRequest: prefix + "upload/request",
		uploadStatus:  prefix + "upload/status",
		event:         prefix + "event",
		eventStatus:   prefix + "event/status",
		hold:          prefix + "hold",
		holdStatus:    prefix + "hold/status",
	}
}

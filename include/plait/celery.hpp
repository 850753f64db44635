// plait/celery.hpp: background tasks on Celery's own protocol: applications, workers, results.
#pragma once

#include "plait/celery/app.hpp"
#include "plait/celery/codec.hpp"
#include "plait/celery/context.hpp"
#include "plait/celery/errors.hpp"
#include "plait/celery/json.hpp"
#include "plait/celery/options.hpp"
#include "plait/celery/parameters.hpp"
#include "plait/celery/registered_task.hpp"
#include "plait/celery/send_within.hpp"
#include "plait/celery/signature.hpp"
#include "plait/celery/value.hpp"
#include "plait/celery/wire_errors.hpp"
#include "plait/celery/worker.hpp"

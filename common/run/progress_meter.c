#include "common/run/progress_meter.h"

#include "common/run/progress_figures.h"

static const struct progress_sample *newest(const struct progress_meter *meter)
{
    return &meter->samples[(meter->oldest + meter->count - 1) % PROGRESS_METER_SAMPLES];
}

void progress_meter_add(struct progress_meter *meter, int64_t now_ms, int64_t done)
{
    if (meter->count > 0 && done < newest(meter)->done)
        meter->count = 0;
    if (meter->count == PROGRESS_METER_SAMPLES)
        meter->oldest = (meter->oldest + 1) % PROGRESS_METER_SAMPLES;
    else
        meter->count++;
    meter->samples[(meter->oldest + meter->count - 1) % PROGRESS_METER_SAMPLES] =
        (struct progress_sample){now_ms, done};
}

int64_t progress_meter_per_s(const struct progress_meter *meter)
{
    const struct progress_sample *from = &meter->samples[meter->oldest];

    if (meter->count < 2 || newest(meter)->at_ms <= from->at_ms)
        return PROGRESS_NOT_KNOWN;
    return (newest(meter)->done - from->done) * 1000 / (newest(meter)->at_ms - from->at_ms);
}

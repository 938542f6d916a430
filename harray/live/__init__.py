"""Who does what, now: frames as they come -> people followed -> decisions -> events; the same for recordings.

    frames of all streams --FrameNetworks.see--> SeenFrame        people found, scene tokens: networks without memory,
                                  |                                batched over streams
                                  v
    one stream's  Stream.take(SeenFrame)                          the tracker, each person's last seconds, cuts
                         |
                         +--Stream.due() --> Window, ...          who is to be decided about, at `decisions_per_sec`
                                  |
    windows of all streams --decide(predictor, windows)--> Prediction, ...    one batch, the way of `predict`
                                  |
                                  v
                  Stream.decided(windows, predictions) --> Event, ...         smoothing, hysteresis
                  Stream.view() --> dict                                      plain values for JSON: a page, a drawing

A `Stream` holds all that is remembered of one camera, file or socket and runs no network, so it can live beside its
socket while `FrameNetworks` and `Predictor` stand elsewhere and serve many; `SeenFrame`, `Window` and `Prediction`
are plain arrays that may travel between processes. Memory does not grow with time: what is older than a window goes.

    predictor = Predictor.load(MODEL)
    networks = FrameNetworks(predictor.extractor)
    stream = Stream(ModelTraits.of(predictor.checkpoint, config), config)
    for frame, time_sec in frames:                                # uint8 RGB, seconds that never run backwards
        picture = Picture(rgb_HWC=frame, time_sec=time_sec, wants_scene=stream.wants_scene(time_sec))
        [seen] = networks.see([picture])
        stream.take(seen)
        windows = stream.due()
        events = stream.decided(windows, decide(predictor, windows))
        show(stream.view(), events)
"""

"""MTCNN: a cascade of three small networks, each looking closer at what the one before it left over.

Source: Zhang, Zhang, Li and Qiao, "Joint Face Detection and Alignment using Multi-task Cascaded Convolutional
Networks", IEEE Signal Processing Letters 23(10), 2016, section II.A.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from facepipe.detectors.detector import Detections
from facepipe.imaging import boxes
from facepipe.imaging.pyramid import pyramid_scales
from facepipe.models.mtcnn_networks import ONet, PNet, RNet

Image = NDArray[np.uint8]
A=0.0; E=12.0; CR='trunc'; RF=False; PAD='zero'; INTERP='area'; ORDER='regress_last'; CROSS=0.7; ROUND=True; RNMS=0.7; ONMS=0.7; OMODE='minimum'; PYR='area'; LNMS=0.5; CROSSMODE='union'
PIXELS_PER_CALL = {"cpu": 1 << 18, "cuda": 1 << 24}

@dataclass
class Candidates:
    photo: NDArray
    box: NDArray
    score: NDArray
    landmarks: NDArray | None = None
    def __getitem__(self, index):
        return Candidates(self.photo[index], self.box[index], self.score[index], None if self.landmarks is None else self.landmarks[index])

class MTCNN:
    def __init__(self, weights, *, min_face=20.0, thresholds=(0.6,0.7,0.7), factor=0.709, device=None):
        self.device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        self.min_face, self.thresholds, self.factor = min_face, thresholds, factor
        self.pnet = self._network(PNet(), 'pnet.', weights)
        self.rnet = self._network(RNet(), 'rnet.', weights)
        self.onet = self._network(ONet(), 'onet.', weights)

    def _network(self, network, prefix, weights):
        network.load_state_dict({k.removeprefix(prefix): v for k, v in weights.items() if k.startswith(prefix)})
        return network.eval().to(self.device, memory_format=torch.channels_last)

    @torch.inference_mode()
    def detect(self, images, scales=None):
        import time
        T=self.T=getattr(self,'T',[0]*4); t0=time.perf_counter()
        c = self.propose(images, scales or [1.0]*len(images))
        t1=time.perf_counter(); T[0]+=t1-t0
        T[3]+=len(c.box)
        if len(c.box):
            c = self.refine(images, c)
        t2=time.perf_counter(); T[1]+=t2-t1
        self.nr=getattr(self,'nr',0)+len(c.box)
        if len(c.box):
            c = self.output(images, c)
        T[2]+=time.perf_counter()-t2
        out=[]
        for i in range(len(images)):
            m=c.photo==i; d=c[m]; 
            out.append(d)
        return out

    def propose(self, images, scales):
        by_size = defaultdict(list)
        for i, im in enumerate(images):
            h, w = im.shape[:2]
            least = max(12.0, self.min_face * scales[i])
            for s in pyramid_scales(w, h, window=12, min_face=least, factor=self.factor):
                by_size[(int(h*s+1), int(w*s+1))].append(i)
        P,B,S,G=[],[],[],[]
        for lv,((h, w), idx) in enumerate(by_size.items()):
            for k in idx:
                im=images[k]
                lvl = cv2.resize(im, (w,h), interpolation=cv2.INTER_AREA if PYR=='area' else cv2.INTER_LINEAR)
                x = torch.from_numpy(lvl[None]).float().sub(127.5).div(128).permute(0,3,1,2)
                rows=max(2, ((1<<17)//w)//2*2)
                for top in range(0, max(h-10,1), rows):
                    prob, off = self.pnet(x[:,:,top:top+rows+10])
                    n=min(rows//2, prob.shape[1]) if top+rows<h-10 else prob.shape[1]
                    prob=prob[0,:n]; 
                    m = prob>=self.thresholds[0]
                    ij = m.nonzero()
                    if not len(ij): continue
                    o = off[0,:, ij[:,0], ij[:,1]].T.numpy()
                    s_ = prob[m].numpy()
                    yx = ij.numpy()*2+np.array([top,0])
                    sx, sy = im.shape[1]/w, im.shape[0]/h
                    if ROUND:
                        sc=h/im.shape[0]
                        x0=np.floor((yx[:,1]+1)/sc)-1; y0=np.floor((yx[:,0]+1)/sc)-1; x1=np.floor((yx[:,1]+12)/sc); y1=np.floor((yx[:,0]+12)/sc)
                        b=np.stack([x0,y0,x1,y1],1)
                    else:
                        b=np.stack([(yx[:,1]+A)*sx, (yx[:,0]+A)*sy, (yx[:,1]+E)*sx, (yx[:,0]+E)*sy],1)
                    P.append(np.full(len(b),k)); B.append(np.concatenate([b,o],1)); S.append(s_); G.append(np.full(len(b), lv*len(images)+k))
        if not P: return Candidates(np.zeros(0,int),np.zeros((0,4)),np.zeros(0))
        P,B,S,G=map(np.concatenate,(P,B,S,G))
        if ORDER=='regress_first':
            B[:, :4]=boxes.shift_edges(B[:,:4],B[:,4:])
        k=boxes.nms(B[:,:4],S,LNMS,group=G)
        P,B,S=P[k],B[k],S[k]
        if ORDER=='regress_mid': B[:,:4]=boxes.shift_edges(B[:,:4],B[:,4:])
        k=boxes.nms(B[:,:4],S,CROSS,CROSSMODE,group=P)
        P,B,S=P[k],B[k],S[k]
        if ORDER=='regress_last': B[:,:4]=boxes.shift_edges(B[:,:4],B[:,4:])
        return Candidates(P,B[:,:4],S)

    def crops(self, images, c, size):
        out=np.zeros((len(c.box),size,size,3),np.uint8)
        q=boxes.square(c.box)
        ok=np.ones(len(q),bool)
        for i,(p,b) in enumerate(zip(c.photo,q)):
            im=images[p]; H,W=im.shape[:2]
            if PAD=='sub':
                s=size/(b[2]-b[0])
                k=max(1,int(1/s)) 
                M=np.array([[s,0,-b[0]*s+.5*s-.5],[0,s,-b[1]*s+.5*s-.5]])
                x0,y0,x1,y1=[int(np.floor(b[0]))-1,int(np.floor(b[1]))-1,int(np.ceil(b[2]))+1,int(np.ceil(b[3]))+1]
                x0,y0,x1,y1=max(x0,0),max(y0,0),min(x1,W),min(y1,H)
                if x1<=x0 or y1<=y0: ok[i]=0; continue
                src=im[y0:y1,x0:x1]
                M=np.array([[s,0,-(b[0]-x0)*s+.5*s-.5],[0,s,-(b[1]-y0)*s+.5*s-.5]])
                if s<1:
                    f=max(1/s,1); w2,h2=max(1,round((x1-x0)/f)),max(1,round((y1-y0)/f))
                    src2=cv2.resize(src,(w2,h2),interpolation=cv2.INTER_AREA)
                    fx,fy=(x1-x0)/w2,(y1-y0)/h2
                    M=np.array([[s*fx,0,s*fx*.5-.5-(b[0]-x0)*s],[0,s*fy,s*fy*.5-.5-(b[1]-y0)*s]])
                    src=src2
                out[i]=cv2.warpAffine(src,M,(size,size),flags=cv2.INTER_LINEAR,borderMode=cv2.BORDER_CONSTANT if 1 else 0, borderValue=(0,0,0))
                continue
            # 1-based trunc as facenet: x=int(x1) 1-based
            
            if CR=='trunc': x0=int(b[0]+1)-1; y0=int(b[1]+1)-1; x1=int(b[2]); y1=int(b[3])
            elif CR=='round': x0,y0,x1,y1=(int(v) for v in np.rint(b))
            elif CR=='out': x0,y0,x1,y1=int(np.floor(b[0])),int(np.floor(b[1])),int(np.ceil(b[2])),int(np.ceil(b[3]))
            elif CR=='side': x0,y0=int(np.rint(b[0])),int(np.rint(b[1])); sd=max(1,int(np.rint(b[2]-b[0]))); x1,y1=x0+sd,y0+sd
            cx0,cy0,cx1,cy1=max(x0,0),max(y0,0),min(x1,W),min(y1,H)
            if cx1<=cx0 or cy1<=cy0: ok[i]=0; continue
            src=im[cy0:cy1,cx0:cx1]
            if PAD!='stretch' and (cx0,cy0,cx1,cy1)!=(x0,y0,x1,y1):
                src=cv2.copyMakeBorder(src,cy0-y0,y1-cy1,cx0-x0,x1-cx1,{'zero':cv2.BORDER_CONSTANT,'rep':cv2.BORDER_REPLICATE,'grey':cv2.BORDER_CONSTANT}[PAD],value=(128,)*3 if PAD=='grey' else (0,0,0))
            if INTERP=='area':
                out[i]=cv2.resize(src,(size,size),interpolation=cv2.INTER_AREA if src.shape[0]>=size else cv2.INTER_LINEAR)
            elif INTERP=='areaonly':
                t=torch.from_numpy(src.copy()).permute(2,0,1)[None].float()
                out[i]=torch.nn.functional.interpolate(t,size=(size,size),mode='area')[0].permute(1,2,0).round().byte().numpy()
            elif INTERP=='linear':
                out[i]=cv2.resize(src,(size,size),interpolation=cv2.INTER_LINEAR)
        x=torch.from_numpy(out).float().sub(127.5).div(128).permute(0,3,1,2)
        return q,x,ok

    def refine(self, images, c):
        q,x,ok=self.crops(images,c,24)
        pr,of=[torch.cat(v).numpy() for v in zip(*[self.rnet(t) for t in x.split(256)])]
        m=(pr>self.thresholds[1])&ok
        q,of,c=q[m],of[m],c[m]; c.score=pr[m]
        if not RF:
            k=boxes.nms(q,c.score,RNMS,group=c.photo)
            q,of,c=q[k],of[k],c[k]
            c.box=boxes.shift_edges(q,of)
        else:
            c.box=boxes.shift_edges(q,of)
            c=c[boxes.nms(c.box,c.score,RNMS,group=c.photo)]
        return c

    def output(self, images, c):
        q,x,ok=self.crops(images,c,48)
        pr,of,lm=[torch.cat(v).numpy() for v in zip(*[self.onet(t) for t in x.split(128)])]
        m=(pr>self.thresholds[2])&ok
        q,of,lm,c=q[m],of[m],lm[m],c[m]; c.score=pr[m]
        c.box=boxes.shift_edges(q,of)
        c.landmarks=q[:,None,:2]+lm*(q[:,2:]-q[:,:2])[:,None]
        return c[boxes.nms(c.box,c.score,ONMS,OMODE,group=c.photo)]
